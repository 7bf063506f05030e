/// A JSON value whose numbers keep their digits and whose objects keep their order.
///
/// The standard coders turn 7.10 into 7.1 and give an object's keys in an order of their own (measured on Swift 6.3.1);
/// a measured value and a frozen request body allow neither.
public enum JSON: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(ExactDecimal)
    case string(String)
    case array([JSON])
    case object([Member])

    public struct Member: Hashable, Sendable {
        public var key: String
        public var value: JSON
        public init(_ key: String, _ value: JSON) {
            self.key = key
            self.value = value
        }
    }
}

extension JSON {
    /// An object of the members whose value is not `nil`, in the order given.
    public static func members(_ members: KeyValuePairs<String, JSON?>) -> JSON {
        .object(members.compactMap { key, value in value.map { Member(key, $0) } })
    }

    public static func integer(_ value: some BinaryInteger) -> JSON { .number(ExactDecimal(value)) }

    /// The member's value where this is an object that has it (the first, if it stands there twice).
    public subscript(key: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    /// The element where this is an array that has it.
    public subscript(index: Int) -> JSON? {
        guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
        return elements[index]
    }

    public var string: String? { if case .string(let value) = self { value } else { nil } }
    public var number: ExactDecimal? { if case .number(let value) = self { value } else { nil } }
    public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
    public var object: [Member]? { if case .object(let value) = self { value } else { nil } }
    /// A whole number that fits, else `nil`.
    public var integer: Int? { number.flatMap(\.integer) }

    /// This object with one member more, or with its value replaced where the key was there.
    public func setting(_ key: String, to value: JSON) -> JSON {
        guard case .object(var members) = self else { return .object([Member(key, value)]) }
        if let index = members.firstIndex(where: { $0.key == key }) {
            members[index].value = value
        } else {
            members.append(Member(key, value))
        }
        return .object(members)
    }

    /// Whether both say the same: key order and trailing zeros aside.
    public func means(_ other: JSON) -> Bool {
        if self == other { return true }
        switch (self, other) {
        case (.number(let left), .number(let right)): return left.isNumericallyEqual(to: right)
        case (.array(let left), .array(let right)):
            return left.count == right.count && zip(left, right).allSatisfy { $0.means($1) }
        case (.object(let left), .object(let right)):
            // Both ways: a key that stands twice on one side must not hide one that is missing there.
            return left.count == right.count
                && left.allSatisfy { member in other[member.key].map { member.value.means($0) } ?? false }
                && right.allSatisfy { self[$0.key] != nil }
        default: return false
        }
    }
}

extension ExactDecimal {
    /// The number as a whole `Int`, else `nil`.
    public var integer: Int? {
        let number = normalised
        guard number.exponent >= 0, number.exponent <= 18 else { return nil }
        var result = number.mantissa
        for _ in 0..<number.exponent {
            let (next, overflow) = result.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            result = next
        }
        return Int(result)
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByBooleanLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .number(ExactDecimal(mantissa: value)) }
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSON)...) { self = .object(elements.map { Member($0.0, $0.1) }) }
    public init(nilLiteral: ()) { self = .null }
}
