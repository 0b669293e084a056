"""Scheduled datasets: YAML files, and the DAGs that are made from them."""
