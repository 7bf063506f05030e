import Destinations
import ExactJSON
import FHIR
import HTTPMessage
import Vitals

/// Answers as FHIR servers give them.
enum Answers {
    static func response(_ status: Int, _ body: String = "", headers: [HTTPHeader] = []) -> HTTPOutcome {
        .answered(HTTPResponse(status: status, headers: headers, body: Array(body.utf8)))
    }

    static func outcome(_ code: String, severity: String = "error", diagnostics: String? = nil) -> String {
        let issue = R4.OperationOutcome.Issue(severity: severity, code: code, diagnostics: diagnostics)
        return String(decoding: R4.OperationOutcome(issues: [issue]).bytes, as: UTF8.self)
    }

    /// A transaction-response with one entry for each text, such as `201` or `422:invariant`.
    static func transaction(_ entries: [String]) -> String {
        let written = entries.enumerated().map { position, text -> JSON in
            let parts = text.split(separator: ":").map(String.init)
            let status = parts[0]
            let isSuccess = status.hasPrefix("2")
            return .members([
                "response": .members([
                    "status": .string(status + " x"),
                    "location": isSuccess ? .string("Observation/srv-\(position)/_history/1") : nil,
                    "etag": isSuccess ? "W/\"1\"" : nil,
                    "outcome": parts.count > 1 ? try? JSON(parsing: outcome(parts[1])) : nil,
                ])
            ])
        }
        return JSON.members(["resourceType": "Bundle", "type": "transaction-response", "entry": .array(written)]).text
    }

    static func searchset(_ resources: [JSON]) -> String {
        JSON.members([
            "resourceType": "Bundle", "type": "searchset", "total": .integer(resources.count),
            "entry": resources.isEmpty ? nil : .array(resources.map { .members(["resource": $0]) }),
        ]).text
    }
}

extension JSON {
    /// The resource as a server would hold it.
    func stored(id: String = "srv-9", version: String = "2") -> JSON {
        setting("id", to: .string(id)).setting(
            "meta", to: .members(["versionId": .string(version), "lastUpdated": "2026-01-01T10:24:08.123Z"]))
    }
}
