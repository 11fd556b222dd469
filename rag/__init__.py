"""Chapter & Verse: answers made only of quotations, each with its place."""

import os

# A question's products are small: threads would wait for each other, on a busy machine for long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
