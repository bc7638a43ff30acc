"""Reading a corpus through the task: the time, and the memory above that of a program which has only its imports."""

import sys
import time
from pathlib import Path

from attend.task import Supervised
from memory import peak_memory_mb

sys.path.append(str(Path(__file__).parents[1]))
from corpus import recipe, silent

LONGEST = 400

if __name__ == "__main__":
    folder, table = Path(sys.argv[1]), sys.argv[2]
    made_by = recipe((table,), (table,), LONGEST)
    task = Supervised.open(made_by, made_by.settings, folder)
    before, begin = peak_memory_mb(), time.perf_counter()
    part = task.read_part(made_by.settings.open_source(silent), "train", silent)
    print(len(part), time.perf_counter() - begin, peak_memory_mb() - before)
