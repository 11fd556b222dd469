"""Chapter & Verse: answers made only of quotations, each with its place."""
