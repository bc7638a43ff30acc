"""attend's RNNsearch with its products in bfloat16, as a contender."""

from ours import main

if __name__ == "__main__":
    main(bf16=True)
