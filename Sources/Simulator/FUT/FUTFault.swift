public import ExactJSON

/// One way in which the simulated infrastructure can fail.
public enum FUTFault: Hashable, Sendable {
    /// Does what is asked and answers this much later.
    case slow(Duration)
    /// Does nothing and answers this status, with `Retry-After` in seconds where given.
    case status(Int, retryAfter: Int? = nil)
    /// Does nothing and answers with this error: a code of the guide, or at the realm an error of OAuth.
    case code(String)
    /// A submission stores the other entries and refuses this one (0-based) inside its 200, with this code.
    case entryRefused(Int, code: String)
    /// Never answers. `stored`: it did what was asked first.
    case hang(stored: Bool)
    /// Closes the connection without an answer. `stored`: it did what was asked first.
    case cut(stored: Bool)
    /// 200 with a body that is no JSON. `stored`: it did what was asked first.
    case garbage(stored: Bool)
    /// An access token that is said to live `told` seconds and lives `actual`.
    case tokenLife(told: Int, actual: Int)
    /// What comes back from a sign-in is not what was sent: `state`, `iss` (in the redirect) or `nonce` (in the id token). Or what the
    /// careplan service tells is another `patient`'s.
    case forged(String)
}

/// When a fault strikes.
public struct FUTFaultRule: Hashable, Sendable {
    public var fault: FUTFault
    /// What the request's path contains, such as `/token` or `$submit-measurement`; empty for any.
    public var path: String
    /// Empty for any.
    public var methods: Set<String>
    /// So many requests of this kind pass first.
    public var after: Int
    /// How often it strikes; `nil` for without end.
    public var times: Int?

    public init(_ fault: FUTFault, path: String = "", methods: Set<String> = [], after: Int = 0, times: Int? = nil) {
        self.fault = fault
        self.path = path
        self.methods = methods
        self.after = after
        self.times = times
    }
}

/// Which requests fail, and how: the first rule that strikes decides.
public struct FUTFaultPlan: Hashable, Sendable {
    public var rules: [FUTFaultRule]

    public init(_ rules: [FUTFaultRule] = []) { self.rules = rules }

    mutating func fault(method: String, path: String) -> FUTFault? {
        for index in rules.indices {
            let rule = rules[index]
            guard rule.times != 0, rule.path.isEmpty || path.contains(rule.path),
                rule.methods.isEmpty || rule.methods.contains(method)
            else { continue }
            guard rule.after <= 0 else {
                rules[index].after -= 1
                continue
            }
            rules[index].times = rule.times.map { $0 - 1 }
            return rule.fault
        }
        return nil
    }
}

extension FUTFaultPlan {
    /// Reads a script:
    ///
    /// ```json
    /// {"rules": [
    ///   {"fault": "status", "status": 429, "retryAfter": 2, "path": "$submit-measurement", "times": 3},
    ///   {"fault": "cut", "stored": true, "path": "/token", "after": 1, "times": 1}
    /// ]}
    /// ```
    ///
    /// Faults: `slow` (milliseconds), `status` (status, retryAfter), `code` (code), `entry-refused` (entry, code), `hang` (stored),
    /// `cut` (stored), `garbage` (stored), `token-life` (told, actual), `forged` (what).
    public init(_ json: JSON) throws(FUTControlError) {
        var rules: [FUTFaultRule] = []
        for rule in json["rules"]?.array ?? [] {
            rules.append(
                FUTFaultRule(
                    try FUTFault(rule), path: rule["path"]?.string ?? "",
                    methods: Set((rule["methods"]?.array ?? []).compactMap(\.string)), after: rule["after"]?.integer ?? 0,
                    times: rule["times"]?.integer))
        }
        self.init(rules)
    }
}

extension FUTFault {
    /// The name in scripts and in the ledger.
    public var name: String {
        switch self {
        case .slow: "slow"
        case .status: "status"
        case .code: "code"
        case .entryRefused: "entry-refused"
        case .hang: "hang"
        case .cut: "cut"
        case .garbage: "garbage"
        case .tokenLife: "token-life"
        case .forged: "forged"
        }
    }

    /// Whether what was asked is done.
    var performs: Bool {
        switch self {
        case .status, .code: false
        case .hang(let stored), .cut(let stored), .garbage(let stored): stored
        case .slow, .entryRefused, .tokenLife, .forged: true
        }
    }

    init(_ json: JSON) throws(FUTControlError) {
        func number(_ key: String) throws(FUTControlError) -> Int {
            guard let value = json[key]?.integer else { throw FUTControlError("this fault needs \(key)") }
            return value
        }
        func text(_ key: String) throws(FUTControlError) -> String {
            guard let value = json[key]?.string else { throw FUTControlError("this fault needs \(key)") }
            return value
        }
        let stored = json["stored"]?.bool ?? false
        switch json["fault"]?.string {
        case "slow": self = .slow(.milliseconds(try number("milliseconds")))
        case "status": self = .status(try number("status"), retryAfter: json["retryAfter"]?.integer)
        case "code": self = .code(try text("code"))
        case "entry-refused": self = .entryRefused(try number("entry"), code: try text("code"))
        case "hang": self = .hang(stored: stored)
        case "cut": self = .cut(stored: stored)
        case "garbage": self = .garbage(stored: stored)
        case "token-life": self = .tokenLife(told: try number("told"), actual: try number("actual"))
        case "forged": self = .forged(try text("what"))
        case let name: throw FUTControlError("no such fault: \(name ?? "none named")")
        }
    }
}
