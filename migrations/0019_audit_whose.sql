-- `tandem audit --user` asks who did it or whose it was done to: each half has an index, and reads no more than it shows.

CREATE INDEX audit_by_whose ON audit (whose, at DESC) WHERE whose <> '';
