"""What the reproductions of the paper's tables and figures share: scales, jobs, outcomes and claims."""
