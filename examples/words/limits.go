package main

// topMax bounds the words that a result names: it must fit into the payload of the step after it, beside those of others.
const topMax = 10
