package envelope

import (
	"math/big"
	"slices"
)

// The field and curve of Ed25519: -x² + y² = 1 + d x² y² modulo p.
// Source: RFC 8032, section 5.1.
var (
	curveP = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	curveD = hexInt("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3")

	// order8 are the y of the four points of order eight; the other y of small order are 0, 1 and -1.
	order8 = []*big.Int{
		hexInt("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7"),
		hexInt("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826"),
	}
)

func hexInt(digits string) *big.Int {
	n, ok := new(big.Int).SetString(digits, 16)
	if !ok {
		panic("internal error: bad constant")
	}
	return n
}

// weakPoint says why key must not be trusted, "" if it may be.
//
// crypto/ed25519 itself takes points of small order, and under the neutral element it holds a signature good for any
// message; it also takes y at or above p, which would give one key two texts. A key with a small-order *part* is
// not refused: whoever makes one can forge nothing, and Go verifies without cofactor, always with the same answer.
// The key is public, so math/big, which is not constant-time, is right here.
func weakPoint(key [32]byte) string {
	if key == [32]byte{} {
		return "it is all zero"
	}
	slices.Reverse(key[:])
	key[0] &= 0x7f // the sign of x
	y := new(big.Int).SetBytes(key[:])
	if y.Cmp(curveP) >= 0 {
		return "it is not in canonical form"
	}
	one := big.NewInt(1)
	minusOne := new(big.Int).Sub(curveP, one)
	if y.Sign() == 0 || y.Cmp(one) == 0 || y.Cmp(minusOne) == 0 || y.Cmp(order8[0]) == 0 || y.Cmp(order8[1]) == 0 {
		return "it is of small order"
	}
	// x² = (y²-1) / (dy²+1) has a root if and only if u·v is a square. v is never 0, since -1/d is no square; u is 0
	// for y = ±1 only, refused above, and with it the one other non-canonical form: x = 0 with its sign set.
	y2 := new(big.Int).Mul(y, y)
	u := new(big.Int).Sub(y2, one)
	v := new(big.Int).Add(y2.Mul(y2, curveD), one)
	u.Mul(u, v).Mod(u, curveP)
	if big.Jacobi(u, curveP) != 1 {
		return "it is not a point of the curve"
	}
	return ""
}
