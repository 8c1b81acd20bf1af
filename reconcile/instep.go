package reconcile

// ahead is how far is looked for what two lists have in common again, where one of
// them has something that the other has not.
const ahead = 32

// inStep goes through two lists side by side that have most in common, in one order:
// the records of an inventory and of the one before. Both is called with the places
// of what is in both, gone and come with those of the rest, which may be in both all
// the same, elsewhere.
func inStep(n, m int, same func(i, j int) bool, both func(i, j int), gone, come func(at int)) {
	i, j := 0, 0
	for i < n && j < m {
		if same(i, j) {
			both(i, j)
			i, j = i+1, j+1
			continue
		}
		skip := 1
		for ; skip <= ahead; skip++ {
			if i+skip < n && same(i+skip, j) {
				for range skip {
					gone(i)
					i++
				}
				break
			}
			if j+skip < m && same(i, j+skip) {
				for range skip {
					come(j)
					j++
				}
				break
			}
		}
		if skip > ahead { // another one is in its place
			gone(i)
			come(j)
			i, j = i+1, j+1
		}
	}
	for ; i < n; i++ {
		gone(i)
	}
	for ; j < m; j++ {
		come(j)
	}
}
