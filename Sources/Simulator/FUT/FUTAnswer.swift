import ExactJSON
import Vitals

/// What the simulated infrastructure says to one request.
struct FUTAnswer {
    enum Body {
        case none
        /// `application/fhir+json`.
        case fhir(JSON)
        /// `application/json`.
        case json(JSON)
        case html(String)
    }

    var status: Int
    var headers: [(String, String)] = []
    var body: Body = .none

    static func redirect(_ location: String) -> FUTAnswer { FUTAnswer(status: 302, headers: [("location", location)]) }

    /// An error of OAuth (RFC 6749, section 5.2).
    static func oauth(_ error: String, _ description: String, status: Int = 400) -> FUTAnswer {
        FUTAnswer(
            status: status, headers: [("cache-control", "no-store")],
            body: .json(["error": .string(error), "error_description": .string(description)]))
    }

    static func page(_ title: String, _ content: String, status: Int = 200) -> FUTAnswer {
        FUTAnswer(
            status: status,
            body: .html(
                "<!DOCTYPE html><html><head><title>\(title)</title></head><body><h1>\(title)</h1>\(content)</body></html>"))
    }
}

/// A refused request at a FHIR service: the guide's error code and its message (`error-messages.md` of guide 8.0.0).
///
/// The guide gives neither HTTP status nor the OperationOutcome's form: 403 for `SECURITY_`, 404 for what is not found, 422 else,
/// is inferred.
struct FUTError: Error {
    var code: String
    var text: String
    var status: Int
    var expression: String?

    init(_ code: String, _ text: String, status: Int? = nil, expression: String? = nil) {
        self.code = code
        self.text = text
        self.status =
            status
            ?? (code.hasPrefix("SECURITY_")
                ? 403 : code == "GENERAL_RESOURCE_NOT_FOUND" || code.hasSuffix("REFERENCED_RESOURCE_NOT_FOUND") ? 404 : 422)
        self.expression = expression
    }

    static func validation(_ what: String, at expression: String? = nil) -> FUTError {
        FUTError("GENERAL_VALIDATION_ERROR", "Validation error: \(what).", expression: expression)
    }

    static func notFound(_ type: String, _ id: String) -> FUTError {
        FUTError("GENERAL_RESOURCE_NOT_FOUND", "Resource \(type) with id \(id) is not found.")
    }

    func outcome(_ place: FUTSettings.ErrorPlace) -> JSON {
        let issue: JSON = .members([
            "severity": "error", "code": .string(status == 403 ? "forbidden" : status == 404 ? "not-found" : "processing"),
            "details": place == .details
                ? [
                    "coding": [["system": "http://ehealth.sundhed.dk/cs/error-messages", "code": .string(code)]],
                    "text": .string(text),
                ]
                : JSON?.none,
            "diagnostics": .string(place == .details ? text : "\(code): \(text)"),
            "expression": expression.map { [.string($0)] },
        ])
        return FUTNarrative.outcome([issue])
    }
}

/// An OperationOutcome as HAPI FHIR writes it, narrative included.
enum FUTNarrative {
    static func outcome(_ issues: [JSON], id: String? = nil) -> JSON {
        let rows = issues.map { issue in
            "<tr><td style=\"font-weight: bold;\">\((issue["severity"]?.string ?? "").uppercased())</td><td>[]</td><td>"
                + escaped(issue["diagnostics"]?.string ?? "") + "</td></tr>"
        }
        return .members([
            "resourceType": "OperationOutcome", "id": id.map { .string($0) },
            "text": [
                "status": "generated",
                "div": .string(
                    "<div xmlns=\"http://www.w3.org/1999/xhtml\"><h1>Operation Outcome</h1><table border=\"0\">\(rows.joined())"
                        + "</table></div>"),
            ],
            "issue": .array(issues),
        ])
    }

    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }
}

/// A query or a form: names and values, decoded, in the order given.
struct FUTForm {
    private(set) var fields: [(name: String, value: String)]

    init(_ text: some StringProtocol) {
        fields = text.split(separator: "&").map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (percentDecoded(parts[0]), percentDecoded(parts.count > 1 ? parts[1] : ""))
        }
    }

    subscript(name: String) -> String? { fields.first { $0.name == name }?.value }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
func percentEncoded(_ text: String) -> String {
    var result = ""
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
            result.append(Character(UnicodeScalar(byte)))
        default:
            let digits = String(byte, radix: 16, uppercase: true)
            result += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
        }
    }
    return result
}

/// Where the services are; all below one origin here, each on a host of its own in FUT.
public struct FUTEndpoints: Hashable, Sendable {
    /// `http://127.0.0.1:port`.
    public var origin: String

    public init(origin: String) { self.origin = origin }

    public var issuer: String { "\(origin)/auth/realms/nemlogin" }
    public var carePlan: String { "\(origin)/careplan/fhir" }
    public var measurement: String { "\(origin)/measurement/fhir" }
    public var device: String { "\(origin)/device/fhir" }
    public var task: String { "\(origin)/task/fhir" }
    public var patient: String { "\(origin)/patient/fhir" }
    public var organization: String { "\(origin)/organization/fhir" }
    public var plan: String { "\(origin)/plan/fhir" }
    public var control: String { "\(origin)/control" }
}
