import ExactJSON

/// A request as the simulated services see it.
struct NHNCall {
    var method: String
    /// As it came, without query.
    var path: String
    var query: String
    var body: [UInt8]
    /// Names in lower case; the first of several.
    var headers: [String: String]
    /// Each DPoP header by itself: there must be one.
    var dpop: [String]

    /// Split at the slashes, decoded.
    var steps: [String] { path.split(separator: "/").map { percentDecoded($0) } }
    var text: String { String(decoding: body, as: UTF8.self) }
    var contentType: String { (headers["content-type"] ?? "").prefix { $0 != ";" }.filter { $0 != " " }.lowercased() }

    func values(of name: String) -> [String] { name == "dpop" ? dpop : headers[name].map { [$0] } ?? [] }
}

/// What a simulated service says to one request.
struct NHNAnswer {
    enum Body {
        case none
        case json(JSON)
        case fhir(JSON)
    }

    var status: Int
    var headers: [(String, String)] = []
    var body: Body = .none

    /// RFC 6749, section 5.2.
    static func oauth(_ fault: HelseIDFault) -> NHNAnswer {
        NHNAnswer(
            status: 400, headers: [("cache-control", "no-store")],
            body: .json(["error": .string(fault.code), "error_description": .string(fault.text)]))
    }

    /// RFC 6750, section 3, and RFC 9449, section 7.1.
    static func unauthorised(_ fault: HelseIDFault, scheme: String) -> NHNAnswer {
        let algorithms = HelseIDJWT.algorithms.joined(separator: " ")
        var parts: [String] = []
        if !fault.code.isEmpty { parts.append("error=\"\(fault.code)\", error_description=\"\(fault.text)\"") }
        if scheme == "DPoP" { parts.append("algs=\"\(algorithms)\"") }
        return NHNAnswer(
            status: fault.code == "insufficient_scope" ? 403 : 401,
            headers: [("www-authenticate", parts.isEmpty ? scheme : "\(scheme) " + parts.joined(separator: ", "))])
    }

    /// An OperationOutcome with one error.
    static func outcome(_ status: Int, _ code: String, _ text: String, coding: (system: String, code: String)? = nil) -> NHNAnswer
    {
        NHNAnswer(status: status, body: .fhir(Self.outcome(code, text, coding: coding)))
    }

    static func outcome(_ code: String, _ text: String, coding: (system: String, code: String)? = nil) -> JSON {
        [
            "resourceType": "OperationOutcome",
            "issue": [
                [
                    "severity": "error", "code": .string(code),
                    "details": .members([
                        "coding": coding.map { [["system": .string($0.system), "code": .string($0.code)]] },
                        "text": .string(text),
                    ]),
                ]
            ],
        ]
    }

    /// The code of an error, for the ledger.
    var errorCode: String? {
        guard status >= 400 else { return nil }
        switch body {
        case .json(let json): return json["error"]?.string
        case .fhir(let outcome):
            let issue = outcome["issue"]?[0]
            return issue?["details"]?["coding"]?[0]?["code"]?.string ?? issue?["code"]?.string
        case .none: return nil
        }
    }
}
