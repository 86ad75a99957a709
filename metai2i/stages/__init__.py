"""What the stages of a run do: plain training, meta-training, evaluation."""
