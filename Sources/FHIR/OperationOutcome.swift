public import ExactJSON

extension R4 {
    /// What a server says of a request.
    public struct OperationOutcome: Hashable, Sendable {
        public struct Issue: Hashable, Sendable {
            /// `fatal`, `error`, `warning` or `information`.
            public var severity: String
            /// A code of `http://hl7.org/fhir/issue-type`.
            public var code: String
            public var diagnostics: String?
            public var details: String?
            /// Where in the request, as FHIRPath.
            public var expression: [String]

            public init(
                severity: String, code: String, diagnostics: String? = nil, details: String? = nil, expression: [String] = []
            ) {
                self.severity = severity
                self.code = code
                self.diagnostics = diagnostics
                self.details = details
                self.expression = expression
            }

            public var isError: Bool { severity == "error" || severity == "fatal" }
        }

        public var issues: [Issue]

        public init(issues: [Issue]) { self.issues = issues }

        /// `nil` where the JSON is no OperationOutcome.
        public init?(_ json: JSON) {
            guard json["resourceType"]?.string == "OperationOutcome" else { return nil }
            issues = (json["issue"]?.array ?? []).map { issue in
                Issue(
                    severity: issue["severity"]?.string ?? "error",
                    code: issue["code"]?.string ?? "",
                    diagnostics: issue["diagnostics"]?.string,
                    details: issue["details"]?["text"]?.string
                        ?? issue["details"]?["coding"]?[0]?["display"]?.string
                        ?? issue["details"]?["coding"]?[0]?["code"]?.string,
                    expression: (issue["expression"]?.array ?? issue["location"]?.array ?? []).compactMap(\.string))
            }
        }

        /// The errors in it, first things first.
        public var errors: [Issue] { issues.filter(\.isError) }

        /// The errors in the server's words, one after the other. May repeat what was sent: treat it as health data.
        public var text: String {
            errors.map { issue in
                ([issue.code, issue.details, issue.diagnostics].compactMap { $0 } + issue.expression).joined(separator: ": ")
            }.joined(separator: "; ")
        }
    }
}

extension R4.OperationOutcome: FHIRResource {
    public static let resourceType = "OperationOutcome"

    public func write(to writer: inout FHIRWriter) {
        writer.object {
            $0.string("resourceType", Self.resourceType)
            $0.array("issue", issues) { issue, writer in
                writer.object {
                    $0.string("severity", issue.severity)
                    $0.string("code", issue.code)
                    if let details = issue.details { $0.object("details") { $0.string("text", details) } }
                    $0.string("diagnostics", issue.diagnostics)
                    $0.array("expression", issue.expression) { text, writer in writer.string(text) }
                }
            }
        }
    }
}
