public import ExactJSON

/// One way in which a receiver can fail.
public enum ReceiverFault: Hashable, Sendable {
    /// Does what is asked and answers this much later.
    case slow(Duration)
    /// Stores nothing and answers this status, with `Retry-After` in seconds where given.
    case status(Int, retryAfter: Int? = nil)
    /// A transaction fails whole with 422 because of this entry (0-based); in a batch this entry alone fails.
    case entryFails(Int)
    /// 200, the other entries stored, and this entry (0-based) refused with 422 inside: what a transaction must not do, and some
    /// do.
    case entryRefused(Int)
    /// Never answers. `stored`: it did what was asked first.
    case hang(stored: Bool)
    /// Closes the connection without an answer. `stored`: it did what was asked first.
    case cut(stored: Bool)
    /// 200 with an OperationOutcome that says error; nothing stored.
    case errorInside
    /// A redirect to somewhere else; nothing stored.
    case redirect(Int, location: String)
    /// 200 with a body that is no JSON. `stored`: it did what was asked first.
    case garbage(stored: Bool)
}

/// When a fault strikes.
public struct ReceiverFaultRule: Hashable, Sendable {
    /// One of these, drawn evenly.
    public var faults: [ReceiverFault]
    /// The first request that it may strike, counted from 1.
    public var from: Int
    /// How often it strikes; `nil` for without end.
    public var times: Int?
    /// 0...100, drawn anew for each request.
    public var percent: Int
    /// Methods that it strikes; empty for all.
    public var methods: Set<String>

    public init(
        _ faults: ReceiverFault..., from: Int = 1, times: Int? = nil, percent: Int = 100, methods: Set<String> = []
    ) {
        self.init(faults, from: from, times: times, percent: percent, methods: methods)
    }

    init(_ faults: [ReceiverFault], from: Int, times: Int?, percent: Int, methods: Set<String>) {
        self.faults = faults
        self.from = from
        self.times = times
        self.percent = percent
        self.methods = methods
    }

    /// Only the request of this number, counted from 1.
    public static func request(_ number: Int, _ fault: ReceiverFault) -> ReceiverFaultRule {
        ReceiverFaultRule(fault, from: number, times: 1)
    }
}

/// Which requests fail, and how: the first rule that strikes decides. The same seed and the same requests give the same faults.
public struct ReceiverFaultPlan: Hashable, Sendable {
    public var rules: [ReceiverFaultRule]
    private var state: UInt64

    public init(_ rules: [ReceiverFaultRule] = [], seed: UInt64 = 1) {
        self.rules = rules
        state = seed
    }

    public static let none = ReceiverFaultPlan()

    /// 429 with Retry-After 1 and 503, on so many of a hundred requests.
    public static func overloaded(percent: Int, seed: UInt64) -> ReceiverFaultPlan {
        ReceiverFaultPlan([ReceiverFaultRule(.status(429, retryAfter: 1), .status(503), percent: percent)], seed: seed)
    }

    mutating func fault(forRequest number: Int, method: String) -> ReceiverFault? {
        for index in rules.indices {
            let rule = rules[index]
            guard number >= rule.from, rule.times != 0, rule.methods.isEmpty || rule.methods.contains(method),
                !rule.faults.isEmpty, rule.percent >= 100 || draw(below: 100) < rule.percent
            else { continue }
            rules[index].times = rule.times.map { $0 - 1 }
            return rule.faults[rule.faults.count == 1 ? 0 : draw(below: rule.faults.count)]
        }
        return nil
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014): the standard library's generator takes no seed.
    private mutating func draw(below limit: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((value ^ (value >> 31)) % UInt64(limit))
    }
}

/// A fault script that cannot be read.
public struct ReceiverFaultError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
}

extension ReceiverFaultPlan {
    /// Reads a script:
    ///
    /// ```json
    /// {"seed": 7, "rules": [
    ///   {"fault": "status", "status": 429, "retryAfter": 2, "times": 3},
    ///   {"faults": [{"fault": "hang", "stored": true}, {"fault": "slow", "milliseconds": 500}], "percent": 50, "from": 10,
    ///    "methods": ["POST"]}
    /// ]}
    /// ```
    ///
    /// Faults: `slow` (milliseconds), `status` (status, retryAfter), `entry-fails` (entry), `entry-refused` (entry),
    /// `hang` (stored), `cut` (stored), `error-inside`, `redirect` (status, location), `garbage` (stored).
    public init(_ json: JSON) throws(ReceiverFaultError) {
        var rules: [ReceiverFaultRule] = []
        for rule in json["rules"]?.array ?? [] {
            var faults: [ReceiverFault] = []
            for fault in rule["faults"]?.array ?? [rule] { faults.append(try ReceiverFault(fault)) }
            rules.append(
                ReceiverFaultRule(
                    faults, from: rule["from"]?.integer ?? 1, times: rule["times"]?.integer,
                    percent: rule["percent"]?.integer ?? 100,
                    methods: Set((rule["methods"]?.array ?? []).compactMap(\.string))))
        }
        self.init(rules, seed: UInt64(clamping: json["seed"]?.integer ?? 1))
    }
}

extension ReceiverFault {
    /// The name in scripts and in the ledger.
    public var name: String {
        switch self {
        case .slow: "slow"
        case .status: "status"
        case .entryFails: "entry-fails"
        case .entryRefused: "entry-refused"
        case .hang: "hang"
        case .cut: "cut"
        case .errorInside: "error-inside"
        case .redirect: "redirect"
        case .garbage: "garbage"
        }
    }

    init(_ json: JSON) throws(ReceiverFaultError) {
        func need<Value>(_ value: Value?, _ key: String) throws(ReceiverFaultError) -> Value {
            guard let value else { throw ReceiverFaultError(description: "this fault needs \(key)") }
            return value
        }
        let stored = json["stored"]?.bool ?? false
        switch json["fault"]?.string {
        case "slow": self = .slow(.milliseconds(try need(json["milliseconds"]?.integer, "milliseconds")))
        case "status": self = .status(try need(json["status"]?.integer, "status"), retryAfter: json["retryAfter"]?.integer)
        case "entry-fails": self = .entryFails(json["entry"]?.integer ?? 0)
        case "entry-refused": self = .entryRefused(json["entry"]?.integer ?? 0)
        case "hang": self = .hang(stored: stored)
        case "cut": self = .cut(stored: stored)
        case "error-inside": self = .errorInside
        case "redirect":
            self = .redirect(json["status"]?.integer ?? 307, location: json["location"]?.string ?? "http://127.0.0.1:9/elsewhere")
        case "garbage": self = .garbage(stored: stored)
        case let name: throw ReceiverFaultError(description: "no such fault: \(name ?? "none named")")
        }
    }
}
