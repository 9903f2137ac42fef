"""The metrics of asking HolmesGPT."""

from typing import Final

from prometheus_client import Counter, Histogram

INVESTIGATIONS: Final = Counter("aianalysis_holmesgpt_investigations_total", "Questions to HolmesGPT by what came of them.", ["outcome"])
SECONDS: Final = Histogram(
    "aianalysis_holmesgpt_duration_seconds", "From the question to the answer.", buckets=(1, 5, 15, 30, 60, 120, 300, 600)
)
CALLS: Final = Counter("aianalysis_holmesgpt_model_calls_total", "Calls of the model.", ["outcome"])
TOKENS: Final = Counter("aianalysis_holmesgpt_tokens_total", "Tokens as the model counted them.", ["side"])
PLANTED: Final = Counter("aianalysis_holmesgpt_planted_total", "Texts that were withheld because they read as instructions.")
STARTS: Final = Counter("aianalysis_holmesgpt_starts_total", "How often HolmesGPT's process was started.")
