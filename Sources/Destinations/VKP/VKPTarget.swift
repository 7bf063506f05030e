public import ExactJSON

/// What a document of VKP is about besides the act, in a dispatch's context.
public struct VKPTarget: Hashable, Sendable {
    /// `urn:uuid:` of the document that said of the same slot that nothing was reported: this one follows it up.
    public var followsUp: String?

    public init(followsUp: String?) { self.followsUp = followsUp }

    /// Of a reading that came after it was said that nothing was measured in its slot.
    public init(late slot: VKPSlot) { followsUp = VKPDocument.name(of: slot) }

    public init(_ json: JSON) { followsUp = json["followsUp"]?.string }

    public var json: JSON { .members(["followsUp": followsUp.map { .string($0) }]) }
}
