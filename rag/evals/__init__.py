"""Evaluation: question sets, measures, comparisons, reports."""
