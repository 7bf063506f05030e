import Catalogue
import HubAPI

extension Configuration {
    static let defaultControlSocket = Hub().controlSocket
    static let defaultPath = "/etc/vitalgate/vitalgate.toml"

    /// Reads the file, or says in three lines why it cannot be used.
    ///
    /// - Throws: exit code 78 with the first problem and where to see all of them.
    static func loadOrExplain(_ path: String) throws(OperationError) -> Configuration {
        do throws(Problems) {
            return try Configuration.load(path)
        } catch {
            guard let first = error.errors.first ?? error.all.first else {
                throw OperationError(
                    "The configuration \(path) cannot be used.", why: "It is not readable.",
                    remedy: "See `vitalgate config check`.",
                    exitCode: 78)
            }
            let more = error.errors.count > 1 ? " (and \(error.errors.count - 1) more)" : ""
            let place = first.place.map { ":\($0.line)" } ?? ""
            throw OperationError(
                "The configuration \(first.file)\(place) cannot be used\(more).",
                why: (first.key.map { "\($0): " } ?? "") + first.why,
                remedy: first.remedy + " All problems: vitalgate config check --config \(path)", exitCode: 78)
        }
    }
}

extension DeviceCatalogue {
    static func loadOrExplain(_ directory: String?) throws(OperationError) -> DeviceCatalogue {
        do throws(Problems) {
            return try DeviceCatalogue.load(directory: directory)
        } catch {
            let first = error.errors.first ?? error.all.first
            throw OperationError(
                "The device catalogue cannot be used.", why: first.map { "\($0.file): \($0.why)" } ?? "It is not readable.",
                remedy: first?.remedy ?? "Mend the directory of [hub] devices_directory.", exitCode: 78)
        }
    }
}
