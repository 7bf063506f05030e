public import ExactJSON

/// One way in which the simulated services can fail.
public enum NHNFault: Hashable, Sendable {
    /// Does what is asked and answers this much later.
    case slow(Duration)
    /// Does nothing and answers this status, with `Retry-After` in seconds where given.
    case status(Int, retryAfter: Int? = nil)
    /// Does nothing and answers with this error: of OAuth at HelseID, of vkp-operation-outcome at VKP.
    case code(String)
    /// PMD stores the other entries and refuses this one (0-based) with this status.
    case entryRefused(Int, status: Int)
    /// Never answers. `stored`: it did what was asked first.
    case hang(stored: Bool)
    /// Closes the connection without an answer. `stored`: it did what was asked first.
    case cut(stored: Bool)
    /// 200 with a body that is no JSON. `stored`: it did what was asked first.
    case garbage(stored: Bool)

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
        }
    }

    /// Whether what was asked is done.
    var performs: Bool {
        switch self {
        case .status, .code: false
        case .hang(let stored), .cut(let stored), .garbage(let stored): stored
        case .slow, .entryRefused: true
        }
    }
}

/// When a fault strikes.
public struct NHNFaultRule: Hashable, Sendable {
    public var fault: NHNFault
    /// What the request's path contains, such as `/token` or `/bundle`; empty for any.
    public var path: String
    /// So many requests of this kind pass first.
    public var after: Int
    /// How often it strikes; `nil` for without end.
    public var times: Int?

    public init(_ fault: NHNFault, path: String = "", after: Int = 0, times: Int? = nil) {
        self.fault = fault
        self.path = path
        self.after = after
        self.times = times
    }
}

/// Which requests fail, and how: the first rule that strikes decides.
public struct NHNFaultPlan: Hashable, Sendable {
    public var rules: [NHNFaultRule]

    public init(_ rules: [NHNFaultRule] = []) { self.rules = rules }

    mutating func fault(path: String) -> NHNFault? {
        for index in rules.indices {
            let rule = rules[index]
            guard rule.times != 0, rule.path.isEmpty || path.contains(rule.path) else { continue }
            guard rule.after <= 0 else {
                rules[index].after -= 1
                continue
            }
            rules[index].times = rule.times.map { $0 - 1 }
            return rule.fault
        }
        return nil
    }

    /// Reads a script:
    ///
    /// ```json
    /// {"rules": [
    ///   {"fault": "status", "status": 429, "retryAfter": 2, "path": "/pmd", "times": 3},
    ///   {"fault": "entry-refused", "entry": 1, "status": 422, "path": "/pmd", "times": 1},
    ///   {"fault": "code", "code": "3.1", "path": "/bundle", "after": 1, "times": 1}
    /// ]}
    /// ```
    ///
    /// Faults: `slow` (milliseconds), `status` (status, retryAfter), `code` (code), `entry-refused` (entry, status), `hang` (stored),
    /// `cut` (stored), `garbage` (stored).
    public init(_ json: JSON) throws(NHNControlError) {
        var rules: [NHNFaultRule] = []
        for rule in json["rules"]?.array ?? [] {
            rules.append(
                NHNFaultRule(
                    try NHNFault(rule), path: rule["path"]?.string ?? "", after: rule["after"]?.integer ?? 0,
                    times: rule["times"]?.integer))
        }
        self.init(rules)
    }
}

extension NHNFault {
    init(_ json: JSON) throws(NHNControlError) {
        func number(_ key: String) throws(NHNControlError) -> Int {
            guard let value = json[key]?.integer else { throw NHNControlError("this fault needs \(key)") }
            return value
        }
        let stored = json["stored"]?.bool ?? false
        switch json["fault"]?.string {
        case "slow": self = .slow(.milliseconds(try number("milliseconds")))
        case "status": self = .status(try number("status"), retryAfter: json["retryAfter"]?.integer)
        case "code":
            guard let code = json["code"]?.string else { throw NHNControlError("this fault needs code") }
            self = .code(code)
        case "entry-refused": self = .entryRefused(try number("entry"), status: try number("status"))
        case "hang": self = .hang(stored: stored)
        case "cut": self = .cut(stored: stored)
        case "garbage": self = .garbage(stored: stored)
        case let name: throw NHNControlError("no such fault: \(name ?? "none named")")
        }
    }
}
