"""Scheduled datasets: YAML files, and the DAGs made of them."""
