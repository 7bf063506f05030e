public import ExactJSON
public import Vitals

extension FUTSession {
    /// What of a session is on disk, sealed: enough to go on after the power went at any moment.
    public struct Record: Hashable, Sendable {
        public enum Content: Hashable, Sendable {
            case signedOut
            case granted(Grant)
            /// The citizen stays, so that only they can take this session up again.
            case lapsed(Lapse, citizen: String?)
        }

        /// Counts the records of a session: the shell says which one is durable.
        public let revision: Int
        /// Who issued the tokens, and to which client: they are sent to nobody else.
        public let issuer: String
        public let client: String
        public let content: Content

        public init(revision: Int, issuer: String, client: String, content: Content) {
            self.revision = revision
            self.issuer = issuer
            self.client = client
            self.content = content
        }
    }

    /// A refresh token and what is known of it.
    public struct Grant: Hashable, Sendable {
        public var refreshToken: Secret
        /// The absolute URL of the citizen's Patient, where the access token told.
        public var citizen: String?
        public var signedInAt: Instant
        /// When the server last took a token of this grant: an idle grant lapses.
        public var lastUsedAt: Instant
        /// Where the server named an end.
        public var refreshExpiresAt: Instant?
        /// Since when there has been a refresh of which no answer is known: the server may hold this token used up.
        public var unansweredSince: Instant?

        public init(
            refreshToken: Secret, citizen: String?, signedInAt: Instant, lastUsedAt: Instant, refreshExpiresAt: Instant? = nil,
            unansweredSince: Instant? = nil
        ) {
            self.refreshToken = refreshToken
            self.citizen = citizen
            self.signedInAt = signedInAt
            self.lastUsedAt = lastUsedAt
            self.refreshExpiresAt = refreshExpiresAt
            self.unansweredSince = unansweredSince
        }
    }

    /// Why a person must sign in again, and since when.
    public struct Lapse: Hashable, Sendable {
        public enum Reason: String, Hashable, Sendable, CaseIterable {
            /// The server takes the token no more: unused too long, ended, or revoked.
            case refused
            /// The server takes it no more, and an answer of it never came to disk: the token that followed is lost.
            case answerLost = "answer-lost"
            /// The configuration names another server or client than the one that the tokens are of.
            case otherServer = "other-server"
            /// The server answered with somebody else's token.
            case otherCitizen = "other-citizen"
        }

        public var reason: Reason
        public var since: Instant

        public init(_ reason: Reason, since: Instant) {
            self.reason = reason
            self.since = since
        }
    }
}

extension FUTSession.Lapse.Reason {
    /// In a sentence for the person who is to sign in.
    public var sentence: String {
        switch self {
        case .refused: "The sign-in has ended: it was not used for too long, ran out, or was withdrawn."
        case .answerLost: "The connection or the power failed while the sign-in was being renewed."
        case .otherServer: "The sign-in belongs to another server or client than the configuration names now."
        case .otherCitizen: "The server answered for somebody else."
        }
    }
}

extension FUTSession.Record {
    /// The number of this form; a later one may read it and this one reads no later one.
    private static let format = 1

    /// The record with its secret, for sealing.
    public var json: JSON {
        var json = JSON.members([
            "format": .integer(Self.format), "revision": .integer(revision), "issuer": .string(issuer), "client": .string(client),
        ])
        func add(_ name: String, _ value: String?) { if let value { json = json.setting(name, to: .string(value)) } }
        switch content {
        case .signedOut: add("status", "signed-out")
        case .lapsed(let lapse, let citizen):
            add("status", "lapsed")
            add("reason", lapse.reason.rawValue)
            add("since", lapse.since.description)
            add("citizen", citizen)
        case .granted(let grant):
            add("status", grant.unansweredSince == nil ? "signed-in" : "refreshing")
            add("since", grant.unansweredSince?.description)
            add("refreshToken", grant.refreshToken.text)
            add("citizen", grant.citizen)
            add("signedInAt", grant.signedInAt.description)
            add("lastUsedAt", grant.lastUsedAt.description)
            add("refreshExpiresAt", grant.refreshExpiresAt?.description)
        }
        return json
    }

    public init(_ json: JSON) throws(FUTRecordError) {
        guard json["format"]?.integer == Self.format else { throw FUTRecordError(member: "format") }
        guard let revision = json["revision"]?.integer, revision >= 0 else { throw FUTRecordError(member: "revision") }
        self.revision = revision
        issuer = try Self.text("issuer", in: json)
        client = try Self.text("client", in: json)
        switch json["status"]?.string {
        case "signed-out": content = .signedOut
        case "lapsed":
            guard let reason = FUTSession.Lapse.Reason(rawValue: try Self.text("reason", in: json)) else {
                throw FUTRecordError(member: "reason")
            }
            content = .lapsed(
                FUTSession.Lapse(reason, since: try Self.instant("since", in: json)), citizen: json["citizen"]?.string)
        case let status? where status == "signed-in" || status == "refreshing":
            content = .granted(
                FUTSession.Grant(
                    refreshToken: Secret(try Self.text("refreshToken", in: json)), citizen: json["citizen"]?.string,
                    signedInAt: try Self.instant("signedInAt", in: json),
                    lastUsedAt: try Self.instant("lastUsedAt", in: json),
                    refreshExpiresAt: json["refreshExpiresAt"] == nil ? nil : try Self.instant("refreshExpiresAt", in: json),
                    unansweredSince: status == "refreshing" ? try Self.instant("since", in: json) : nil))
        default: throw FUTRecordError(member: "status")
        }
    }

    private static func text(_ name: String, in json: JSON) throws(FUTRecordError) -> String {
        guard let text = json[name]?.string, !text.isEmpty else { throw FUTRecordError(member: name) }
        return text
    }

    private static func instant(_ name: String, in json: JSON) throws(FUTRecordError) -> Instant {
        guard let instant = Instant(iso8601: try text(name, in: json)) else { throw FUTRecordError(member: name) }
        return instant
    }
}

/// A stored session that is none, by the member that is missing or of no meaning.
public struct FUTRecordError: Error, Hashable, Sendable, CustomStringConvertible {
    public let member: String

    public var description: String { "the stored sign-in's \(member) cannot be read" }
}

extension FUTSession.Record: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Without token and citizen.
    public var description: String {
        let status =
            switch content {
            case .signedOut: "signed out"
            case .granted(let grant): grant.unansweredSince == nil ? "signed in" : "refreshing"
            case .lapsed(let lapse, _): "lapsed, \(lapse.reason.rawValue)"
            }
        return "[sign-in record \(revision): \(status)]"
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}

extension FUTSession.Record.Content: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "[sign-in]" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}

extension FUTSession.Grant: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "[grant]" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}
