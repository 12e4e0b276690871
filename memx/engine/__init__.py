"""What memx is about: memory. Knows no format and no terminal.

Its rooms, each on those before it: `memory`, `collector`, `analysis`, `workers`, `reading` (one source), `dataset`
(many), `profile` and `tuning`. Beside them stand what the caller may say (`options`), what `memx status` says
(`status`), and what a library offers for extractors of one's own (`extraction`, `agent`).
"""
