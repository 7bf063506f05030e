import Glibc
import HubAPI

/// Directories of the hub's own.
enum Directory {
    /// Makes the directory and its parents where they are missing.
    ///
    /// - Throws: exit code 73 with the path and what to do.
    static func make(_ path: String, mode: mode_t) throws(OperationError) {
        var made = ""
        for part in path.split(separator: "/") {
            made += "/" + part
            if mkdir(made, mode) == 0 || errno == EEXIST { continue }
            throw OperationError(
                "The directory \(path) cannot be made.", why: String(cString: strerror(errno)) + ": \(made).",
                remedy: "Make it and give it to the user of the service, or name another in the configuration.", exitCode: 73)
        }
        guard access(path, W_OK | X_OK) == 0 else {
            throw OperationError(
                "The directory \(path) cannot be written.", why: String(cString: strerror(errno)) + ".",
                remedy: "Give it to the user that runs the daemon, or name another in the configuration.", exitCode: 73)
        }
    }

    static func make(parentOf path: String, mode: mode_t) throws(OperationError) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        try make(String(path[..<slash]), mode: mode)
    }
}
