import ExactJSON
import Vitals

/// Whose reading it is, as Norwegian receivers are told: by national identifier, in the body alone.
///
/// The number comes from the sealed store as the channel's patient id; it stands in no URL, no header and no text of an error.
struct NorwegianSubject: Hashable {
    var system: String
    var value: String

    /// - Parameter patientID: fødselsnummer, D-number or felles hjelpenummer, eleven digits.
    init(patientID: String) throws(MappingError) {
        guard let number = try? NorwegianPersonNumber(patientID) else {
            throw MappingError(.patientID, "the receiver's patient id is no Norwegian person number")
        }
        // Value set vkp-subject-identifiers of VkpObservation 0.5.1: these three and no other.
        guard let system = number.system else {
            throw MappingError(.patientID, "the number is known to one organisation only: no national receiver takes it")
        }
        self.system = system
        value = number.digits
    }

    /// `Reference` by identifier.
    var json: JSON { ["identifier": ["system": .string(system), "value": .string(value)]] }

    /// The token of a search form.
    var token: String { "\(system)|\(value)" }
}
