"""Where the stages of a recipe are worked on: by this process, on a Ray cluster, as jobs of Slurm."""
