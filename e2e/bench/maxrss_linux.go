package main

// maxrssUnit is in what the system counts the most memory of a process, in bytes.
const maxrssUnit = 1 << 10
