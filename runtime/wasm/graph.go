package wasm

// A graph holds who may call whom: own functions, then one node for each structural type, through which call_indirect reaches every function of
// that type whose reference can be made.
type graph struct {
	*plan
	members   []uint32 // functions of each type node, all together
	membersAt []uint32 // where those of each type begin; one more than there are types

	// Tarjan's algorithm, with a stack of its own, since a module may nest calls as deep as it has functions.
	order   []uint32 // when a node was found, from 1
	low     []uint32 // the earliest found that it reaches
	next    []uint32 // which of its edges comes next
	open    []bool   // is on path
	path    []uint32 // nodes whose component is not complete
	walk    []uint32 // the way to the node at hand
	found   uint32
	typeTop []uint32 // for each type, the most bytes that its members take uncharged
}

// decide says for each function who charges its fuel and its stack. Components come callees first, so that each is judged with all that it calls known.
func (p *plan) decide() {
	g := graph{plan: p}
	g.collectMembers()
	n := len(p.funcs) + p.types.count
	g.order, g.low, g.next = make([]uint32, n), make([]uint32, n), make([]uint32, n)
	g.open = make([]bool, n)
	g.typeTop = make([]uint32, p.types.count)
	p.indirectCost = make([]uint32, p.types.count)
	for v := range uint32(n) {
		if g.order[v] == 0 {
			g.visit(v)
		}
	}
}

func (g *graph) collectMembers() {
	first := len(g.m.Imports)
	counts := make([]uint32, g.types.count+1)
	for i := range g.funcs {
		if g.funcs[i].inElement {
			counts[g.types.number[g.m.funcs[first+i]]+1]++
		}
	}
	for t := range g.types.count {
		counts[t+1] += counts[t]
	}
	g.membersAt = counts
	g.members = make([]uint32, counts[g.types.count])
	at := append([]uint32(nil), counts...)
	for i := range g.funcs {
		if g.funcs[i].inElement {
			t := g.types.number[g.m.funcs[first+i]]
			g.members[at[t]] = uint32(i)
			at[t]++
		}
	}
}

// edges gives what v may call.
func (g *graph) edges(v uint32) []uint32 {
	if t := int(v) - len(g.funcs); t >= 0 {
		return g.members[g.membersAt[t]:g.membersAt[t+1]]
	}
	f := &g.funcs[v]
	return g.calls[f.callsAt:f.callsEnd]
}

// visit walks everything that v reaches and hands on each component once it is complete.
func (g *graph) visit(v uint32) {
	g.enter(v)
	for len(g.walk) > 0 {
		v := g.walk[len(g.walk)-1]
		if edges := g.edges(v); int(g.next[v]) < len(edges) {
			to := edges[g.next[v]]
			g.next[v]++
			if g.order[to] == 0 {
				g.enter(to)
			} else if g.open[to] {
				g.low[v] = min(g.low[v], g.order[to])
			}
			continue
		}
		g.walk = g.walk[:len(g.walk)-1]
		if len(g.walk) > 0 {
			parent := g.walk[len(g.walk)-1]
			g.low[parent] = min(g.low[parent], g.low[v])
		}
		if g.low[v] == g.order[v] {
			g.complete(v)
		}
	}
}

func (g *graph) enter(v uint32) {
	g.found++
	g.order[v], g.low[v] = g.found, g.found
	g.open[v] = true
	g.path = append(g.path, v)
	g.walk = append(g.walk, v)
}

// complete takes the component of v off the path and judges its nodes.
func (g *graph) complete(v uint32) {
	at := len(g.path) - 1
	for g.path[at] != v {
		at--
	}
	nodes := g.path[at:]
	g.path = g.path[:at]
	recursive := len(nodes) > 1 || g.callsItself(v)
	// Functions that can recurse pay for their own frames, so that they add nothing to those above them: below stays zero until it is judged.
	for _, node := range nodes {
		if int(node) >= len(g.funcs) {
			g.judgeType(node)
		}
	}
	for _, node := range nodes {
		g.open[node] = false
		if int(node) < len(g.funcs) {
			g.judgeFunction(node, recursive)
		}
	}
}

func (g *graph) callsItself(v uint32) bool {
	for _, to := range g.edges(v) {
		if to == v {
			return true
		}
	}
	return false
}

func (g *graph) judgeType(v uint32) {
	t := int(v) - len(g.funcs)
	for _, to := range g.edges(v) {
		f := &g.funcs[to]
		g.typeTop[t] = max(g.typeTop[t], f.below)
		if f.small {
			g.indirectCost[t] = max(g.indirectCost[t], f.cost)
		}
	}
}

// judgeFunction decides for one function, whose callees outside its component are judged.
func (g *graph) judgeFunction(v uint32, recursive bool) {
	f := &g.funcs[v]
	cost, below, small := f.cost, uint32(0), !f.hasLoop && !f.hasBulk && !recursive
	for _, to := range g.edges(v) {
		if t := int(to) - len(g.funcs); t >= 0 {
			below, small = max(below, g.typeTop[t]), false
			f.checks = true
			continue
		}
		callee := &g.funcs[to]
		below = max(below, callee.below)
		if !callee.small {
			small = false
			f.checks = true
			continue
		}
		cost = addCapped(cost, callee.cost)
		f.host = f.host || callee.host
	}
	if small && cost <= smallUnits {
		f.small, f.cost = true, cost
	}
	f.below = addCapped(f.frame, below)
	if recursive || f.below > chainMax {
		f.stack, f.below, f.small, f.checks = f.below, 0, false, true
	}
}
