"""From a written report to a drafted intake: layout, words, what surrounds them, the person, the laboratory."""
