"""Reading a corpus through attend.data: the time, and the memory above that of a program which has only its imports."""

import sys
import time

from memory import peak_memory_mb

from attend.data.codec import Codec
from attend.data.corpus import Corpus

if __name__ == "__main__":
    codec_paths, paths = sys.argv[1:3], sys.argv[3:]
    codecs = [Codec.load(path) for path in codec_paths]
    before, begin = peak_memory_mb(), time.perf_counter()
    corpus, _ = Corpus.read(tuple(paths), codecs[0], codecs[1], longest=400)
    print(len(corpus), time.perf_counter() - begin, peak_memory_mb() - before)
