import ExactJSON

/// What the store says to one interaction.
struct ReceiverAnswer {
    var status: Int
    var headers: [(String, String)] = []
    var body: JSON?

    static func outcome(_ status: Int, _ code: String, _ text: String, expression: String? = nil) -> ReceiverAnswer {
        ReceiverAnswer(status: status, body: ReceiverError(status, code, text, expression: expression).outcome)
    }
}

/// A refused interaction, with the issue that FHIR gives it (value set issue-type).
struct ReceiverError: Error {
    var status: Int
    var code: String
    var text: String
    var expression: String?

    init(_ status: Int, _ code: String, _ text: String, expression: String? = nil) {
        self.status = status
        self.code = code
        self.text = text
        self.expression = expression
    }

    var outcome: JSON {
        [
            "resourceType": "OperationOutcome",
            "issue": [
                .members([
                    "severity": "error", "code": .string(code), "diagnostics": .string(text),
                    "expression": expression.map { [.string($0)] },
                ])
            ],
        ]
    }

    var answer: ReceiverAnswer { ReceiverAnswer(status: status, body: outcome) }
}

/// The reason phrases that FHIR's entry.response.status carries.
func receiverStatusText(_ status: Int) -> String {
    switch status {
    case 200: "200 OK"
    case 201: "201 Created"
    case 412: "412 Precondition Failed"
    case 422: "422 Unprocessable Entity"
    default: "\(status)"
    }
}
