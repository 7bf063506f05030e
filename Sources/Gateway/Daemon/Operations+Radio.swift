import ExactJSON
import HubAPI

// What people ask of the adapter.

extension Operations {
    /// Walks the recovery ladder, whether or not anything is wrong, and tells what became of each rung.
    func resetAdapter() async -> Result<JSON, OperationError> {
        guard let radio else {
            return .failure(
                OperationError(
                    "The adapter was left as it is.", why: "The hub's configuration says [bluetooth] enabled = false.",
                    remedy: "Set it to true, then: systemctl restart vitalgate.", exitCode: 69))
        }
        return .success(await radio.keeper.reset())
    }

    /// What is asked of the capture of the radio.
    func withCapture(
        _ body: (CaptureService) async -> Result<JSON, OperationError>
    ) async -> Result<JSON, OperationError> {
        guard let capture else {
            return .failure(
                OperationError(
                    "There is no capture of the radio.", why: "The daemon runs no radio.",
                    remedy: "Set [bluetooth] enabled = true and see `vitalgate doctor`.", exitCode: 69))
        }
        return await body(capture)
    }
}
