"""Shades of text for numbers from 0 to 1."""

SHADES = " ░▒▓█"
# The colour map cividis in the 256 colours that nearly every terminal has, from no weight to all of it.
COLOURS = (17, 60, 102, 144, 185, 227)
# From black to white.
GREYS = (232, 237, 241, 244, 247, 251, 255)
RESET = "\x1b[0m"


def level(share: float, levels: int) -> int:
    return min(round(share * (levels - 1)), levels - 1)


def shaded(share: float, colour: bool, colours: tuple[int, ...] = COLOURS) -> str:
    """One character."""
    if not colour:
        return SHADES[level(share, len(SHADES))]
    return f"\x1b[48;5;{colours[level(share, len(colours))]}m {RESET}"
