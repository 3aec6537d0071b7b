package source

import "strings"

// slash stands for a / in the name of a folder that is a tree from elsewhere.
const slash = "∕" // U+2215

// TreeName gives the name of the folder under which a tree from elsewhere stands
// among the files of a workspace. Messages show the address instead.
func TreeName(address string) string {
	if !strings.Contains(address, "/") {
		address += "//"
	}
	return strings.ReplaceAll(address, "/", slash)
}

// TreeOf gives the folder of the tree from elsewhere that a file lies in, or ""
// for a file of the workspace's own. No path leads from one tree to another.
func TreeOf(file string) string {
	first, _, _ := strings.Cut(file, "/")
	if strings.Contains(first, slash) {
		return first
	}
	return ""
}

// Readable gives the path of a file as messages show it.
func Readable(file string) string {
	if TreeOf(file) == "" {
		return file
	}
	return strings.ReplaceAll(file, slash, "/")
}
