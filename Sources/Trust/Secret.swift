/// A text that lets its holder act for somebody: a token, a code, a verifier. It shows itself to nobody who prints, dumps or
/// interpolates it (R8); who needs it says ``text``.
public struct Secret: Hashable, Sendable {
    public let text: String

    public init(_ text: String) { self.text = text }

    /// Without an early exit, so that the time taken tells nothing of how far a guess was right.
    public static func == (left: Secret, right: Secret) -> Bool {
        let left = Array(left.text.utf8)
        let right = Array(right.text.utf8)
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "[secret]" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}
