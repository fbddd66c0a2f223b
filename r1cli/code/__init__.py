"""Running programs that a model wrote: the words, and the service that rewards are handed."""
