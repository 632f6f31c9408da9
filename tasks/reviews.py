"""first cut"""
