package envelope

import "time"

// An Act is what an order asks for.
type Act string

// The acts. Those with a filter select dead letters by Order.Tenant, Target and Code; if all are empty, all letters. Messages that came
// or died after Order.Issued are left alone.
const (
	ActPause     Act = "pause"      // nothing of the queue begins; what runs goes on
	ActResume    Act = "resume"     // ends a pause
	ActCancel    Act = "cancel"     // the message or plan Target of Tenant never starts, and is ended where it runs
	ActRequeue   Act = "requeue"    // dead letters, by filter, go back into their lanes
	ActPurge     Act = "purge"      // what waits, of Tenant or of all, is forgotten
	ActPurgeDead Act = "purge_dead" // dead letters, by filter, are forgotten
)

// Acts returns all acts, in the order above.
func Acts() []Act { return []Act{ActPause, ActResume, ActCancel, ActRequeue, ActPurge, ActPurgeDead} }

// An actRule says which fields an act has and how long its order may live.
type actRule struct {
	tenant, target, code need
	lifetimeMax          time.Duration
}

type need uint8

const (
	never need = iota
	maybe
	always
)

func (a Act) rule() (actRule, bool) {
	switch a {
	case ActPause, ActResume:
		return actRule{lifetimeMax: ModeLifetimeMax}, true
	case ActCancel:
		return actRule{tenant: always, target: always, lifetimeMax: CancelLifetimeMax}, true
	case ActRequeue, ActPurgeDead:
		return actRule{tenant: maybe, target: maybe, code: maybe, lifetimeMax: ActLifetimeMax}, true
	case ActPurge:
		return actRule{tenant: maybe, lifetimeMax: ActLifetimeMax}, true
	}
	return actRule{}, false
}

// An Order is what an operator (or, with ActCancel, a sender) orders the workers of one queue to do. Fields whose comment does not
// mention zero or "" must be set.
type Order struct {
	ID       MessageID // the workers' answer is kept under it, as a result
	Issuer   KeyID     // the signing key; SignOrder sets it
	Audience string    // the deployment; a name, see CheckName
	Queue    string    // a name
	Act      Act

	Tenant string // a name; required with ActCancel; "" is all
	Target string // ActCancel: the id of a message or plan; with a filter also the entry of a dead letter; "" is all
	Code   string // of dead letters; "" is all

	Before time.Time // of dead letters: those that died before it; not after Issued. Zero: before Issued

	// Times have millisecond resolution. An order to pause holds until Expires; the others are obeyed before it.
	Issued  time.Time
	Expires time.Time // after Issued, by ActLifetimeMax, ModeLifetimeMax or CancelLifetimeMax at most

	Note string // why, for the log, at most NoteSizeMax bytes; "" is allowed
}

// orderArity is the number of values in an order's body. One with Before has one more.
const orderArity = 11

// SignOrder returns o as signed bytes; key must be an operate key, or for ActCancel a submit key. The same o and key give
// the same bytes.
// Errors, final: *FieldError, *LifetimeError, *SizeError for o; *PurposeError for key.
// Source: docs/reference/envelope.md, "Body of an order".
func SignOrder(o Order, key PrivateKey) ([]byte, error) {
	o.Issuer = key.Public().ID()
	o.Issued, o.Expires, o.Before = wireTime(o.Issued), wireTime(o.Expires), wireTime(o.Before)
	if err := o.check(); err != nil {
		return nil, err
	}
	purpose, err := o.purpose(key.Public())
	if err != nil {
		return nil, err
	}
	return seal("order", orderType, o.encode(), key, purpose, OrderSizeMax)
}

// purpose returns the purpose of key, if a key of that purpose may sign o.
func (o *Order) purpose(key PublicKey) (Purpose, error) {
	p := key.Purpose()
	if p == Operate || p == Submit && o.Act == ActCancel {
		return p, nil
	}
	return "", &PurposeError{key.ID(), p, Operate}
}

// An OrderKeyring finds the keys that may have signed an order. It may return keys of any purpose.
type OrderKeyring interface {
	OrderKey(id KeyID) (PublicKey, bool)
}

// An OrderReader opens orders that are meant for one deployment. It may be used by any number of goroutines.
type OrderReader struct {
	Keys     OrderKeyring // nil knows no key
	Audience string       // "" is nobody: every order is refused
}

// A VerifiedOrder is an order whose signature holds, by a key that may sign its act, which is meant for this deployment and has not
// expired. Only OrderReader.Open makes one; policy refuses the zero VerifiedOrder.
type VerifiedOrder struct {
	order  Order
	key    PublicKey
	digest Digest
}

// Order returns the order.
func (v VerifiedOrder) Order() Order { return v.order }

// Key returns the key that signed.
func (v VerifiedOrder) Key() PublicKey { return v.key }

// Digest returns the SHA-256 of the whole order.
func (v VerifiedOrder) Digest() Digest { return v.digest }

// Answer returns the Result with which a worker answers v, as StatusDone. The worker adds Finished and may change Status, Code, Output
// and Error. Its Task is the act, its Tenant the order's or, if that has none, the audience.
func (v VerifiedOrder) Answer() Result {
	o := v.order
	r := Result{ID: o.ID, Message: v.digest, Audience: o.Audience, Tenant: o.Tenant, Queue: o.Queue, Task: string(o.Act), Status: StatusDone}
	if r.Tenant == "" {
		r.Tenant = o.Audience
	}
	return r
}

// Open verifies b and returns the order inside. now is the instant by which Issued and Expires are judged.
// Errors, all final: *SizeError, *FormatError, *VersionError, *TypeError, *UnsupportedError, *UnknownKeyError,
// *PurposeError, *SignatureError, *FieldError, *AudienceError, *LifetimeError, *NotYetError, *ExpiredError.
// Source: docs/reference/envelope.md, "Reading an order".
func (r OrderReader) Open(b []byte, now time.Time) (VerifiedOrder, error) {
	if len(b) > OrderSizeMax {
		return VerifiedOrder{}, &SizeError{"order", len(b), OrderSizeMax}
	}
	f, err := openFrame(b, orderType, "")
	if err != nil {
		return VerifiedOrder{}, err
	}
	if !f.path.isZero() {
		return VerifiedOrder{}, &UnsupportedError{"batch of orders"}
	}
	key, err := f.verify(r.find, nil, Operate, Submit)
	if err != nil {
		return VerifiedOrder{}, err
	}
	o, err := decodeOrder(f.body)
	if err != nil {
		return VerifiedOrder{}, err
	}
	if err := r.judge(&o, key, now); err != nil {
		return VerifiedOrder{}, err
	}
	return VerifiedOrder{order: o, key: key, digest: DigestOf(b)}, nil
}

func (r OrderReader) find(id KeyID) (PublicKey, bool) {
	if r.Keys == nil {
		return PublicKey{}, false
	}
	return r.Keys.OrderKey(id)
}

// judge refuses an order that is well formed but not for this key, this reader or this time.
func (r OrderReader) judge(o *Order, key PublicKey, now time.Time) error {
	if err := o.check(); err != nil {
		return err
	}
	if _, err := o.purpose(key); err != nil {
		return err
	}
	switch {
	case o.Issuer != key.ID():
		return &FieldError{"issuer", "is not the key that signed"}
	case o.Audience != r.Audience:
		return &AudienceError{o.Audience, r.Audience}
	case o.Issued.Sub(now) > SkewMax:
		return &NotYetError{o.Issued, now}
	case !now.Before(o.Expires):
		return &ExpiredError{Expires: o.Expires, Now: now}
	}
	return nil
}

// check refuses what neither SignOrder may write nor Open accept.
func (o *Order) check() error {
	if o.ID.IsZero() {
		return &FieldError{"id", "is missing"}
	}
	if err := CheckName("audience", o.Audience); err != nil {
		return err
	}
	if err := CheckName("queue", o.Queue); err != nil {
		return err
	}
	rule, ok := o.Act.rule()
	if !ok {
		return &FieldError{"act", "is unknown"}
	}
	if err := o.checkScope(rule); err != nil {
		return err
	}
	if err := o.checkTimes(rule.lifetimeMax); err != nil {
		return err
	}
	if !o.Before.IsZero() && rule.code == never {
		return &FieldError{"before", "is given, but the act has none"}
	}
	if o.Before.After(o.Issued) {
		return &FieldError{"before", "is after issued"}
	}
	if err := checkTime("before", o.Before); err != nil {
		return err
	}
	return checkText("note", o.Note, NoteSizeMax)
}

// checkScope refuses fields that the act needs and that are missing, or that it does not have.
func (o *Order) checkScope(rule actRule) error {
	for _, part := range []struct {
		field, value string
		need         need
		check        func(string) error
	}{
		{"tenant", o.Tenant, rule.tenant, func(s string) error { return CheckName("tenant", s) }},
		{"target", o.Target, rule.target, o.checkTarget},
		{"code", o.Code, rule.code, checkCode},
	} {
		switch {
		case part.value == "" && part.need == always:
			return &FieldError{part.field, "is missing"}
		case part.value == "":
			continue
		case part.need == never:
			return &FieldError{part.field, "is given, but the act has none"}
		}
		if err := part.check(part.value); err != nil {
			return err
		}
	}
	return nil
}

// checkTarget refuses a target that cannot be an id or, with a filter, an id or an entry.
func (o *Order) checkTarget(s string) error {
	if o.Act == ActCancel {
		id, err := ParseMessageID(s)
		if err != nil || id.IsZero() {
			return &FieldError{"target", "is not the id of a message or plan"}
		}
		return nil
	}
	if len(s) > TargetSizeMax {
		return &FieldError{"target", "is too long"}
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			continue
		}
		return &FieldError{"target", "has a character that neither an id nor an entry has"}
	}
	return nil
}

func (o *Order) checkTimes(lifetimeMax time.Duration) error {
	if o.Issued.IsZero() {
		return &FieldError{"issued", "is missing"}
	}
	if o.Expires.IsZero() {
		return &FieldError{"expires", "is missing"}
	}
	if err := checkTime("issued", o.Issued); err != nil {
		return err
	}
	if err := checkTime("expires", o.Expires); err != nil {
		return err
	}
	if !o.Expires.After(o.Issued) {
		return &FieldError{"expires", "is not after issued"}
	}
	if life := o.Expires.Sub(o.Issued); life > lifetimeMax {
		return &LifetimeError{life, lifetimeMax}
	}
	return nil
}

func (o *Order) encode() []byte {
	e := newEncoder(512)
	o.write(e)
	return e.close()
}

func (o *Order) write(e *encoder) {
	if o.Before.IsZero() {
		e.array(orderArity)
	} else {
		e.array(orderArity + 1)
	}
	e.id(o.ID[:])
	e.id(o.Issuer[:])
	e.str(o.Audience)
	e.str(o.Queue)
	e.str(string(o.Act))
	e.str(o.Tenant)
	e.str(o.Target)
	e.str(o.Code)
	e.time(o.Issued)
	e.time(o.Expires)
	e.str(o.Note)
	if !o.Before.IsZero() {
		e.time(o.Before)
	}
}

// decodeOrder reads a body. Nothing of the result is part of body.
// Errors, final: *FormatError, *FieldError.
func decodeOrder(body []byte) (Order, error) {
	if err := walk("body", body); err != nil {
		return Order{}, err
	}
	d := newDecoder("body", body)
	defer d.close()
	var o Order
	more := d.arrayOr("body", orderArity)
	d.fixed("id", o.ID[:], false)
	d.fixed("issuer", o.Issuer[:], false)
	o.Audience = d.str("audience", NameSizeMax)
	o.Queue = d.str("queue", NameSizeMax)
	o.Act = Act(d.str("act", fieldSizeMax))
	o.Tenant = d.str("tenant", NameSizeMax)
	o.Target = d.str("target", TargetSizeMax)
	o.Code = d.str("code", CodeSizeMax)
	o.Issued = d.time("issued")
	o.Expires = d.time("expires")
	o.Note = d.str("note", NoteSizeMax)
	if more {
		o.Before = d.time("before")
	}
	if d.err != nil {
		return Order{}, d.err
	}
	e := newMatcher(body)
	o.write(e)
	if !e.matched() {
		return Order{}, &FormatError{"body", -1, "not the encoding of what it says"}
	}
	return o, nil
}
