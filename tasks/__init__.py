"""The stages of a comparison: plain functions first, their Prefect task at the foot."""
