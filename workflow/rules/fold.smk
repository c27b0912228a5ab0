"""One fold of a cross-validation as a workflow of its own; what folds share is left to the one that has them."""


include: "common.smk"
include: "study.smk"
