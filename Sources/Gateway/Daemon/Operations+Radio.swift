import ExactJSON
import HubAPI

// What people ask of the radio.

extension Operations {
    func resetAdapter() async -> Result<JSON, OperationError> {
        .failure(
            OperationError(
                "The adapter was left as it is.", why: "The daemon runs no radio.",
                remedy: "Set [bluetooth] enabled = true and see `vitalgate doctor`.", exitCode: 69))
    }
}
