import ExactJSON
import Protocols
import Vitals

/// A look around: who is there, and what the catalogue makes of it.
struct ScanProcedure: Procedure {
    let seconds: Int
    /// Also those that fit no entry: a neighbour's lamp, a telephone.
    let showsAll: Bool
    private var until: MonotonicTime?
    private var told: [DeviceAddress: Advertiser] = [:]
    private var strangers: Set<DeviceAddress> = []

    init(seconds: Int, showsAll: Bool) {
        self.seconds = seconds
        self.showsAll = showsAll
    }

    mutating func start(at now: MonotonicTime) -> [ProcedureEffect] {
        until = now + .seconds(seconds)
        return [.step(ProcedureStep("looking", "Looking around for \(seconds) seconds.")), .scan(true)]
    }

    mutating func receive(_ event: ProcedureEvent, at now: MonotonicTime) -> [ProcedureEffect] {
        switch event {
        case .heard(let advertiser):
            guard showsAll || advertiser.model != nil else {
                strangers.insert(advertiser.address)
                return []
            }
            strangers.remove(advertiser.address)
            // Told again only when more is known of it: names come with the scan response.
            if let earlier = told[advertiser.address], earlier.name != nil || advertiser.name == nil { return [] }
            told[advertiser.address] = advertiser
            let model = advertiser.model.map { ", fits the entry \($0.id)" } ?? ""
            return [
                .step(
                    ProcedureStep(
                        "device", "\(advertiser.address)  \(advertiser.shownName ?? "(no name)")\(model)", advertiser.json))
            ]
        case .tick:
            guard let until, now >= until else { return [] }
            return [
                .scan(false),
                .step(
                    ProcedureStep(
                        "done", "\(told.count) found\(others).",
                        [.init("count", .integer(told.count)), .init("others", .integer(strangers.count))])), .finish,
            ]
        case .cancelled: return [.scan(false), .finish]
        case .adapterLost: return [.fail(.noAdapter)]
        default: return []
        }
    }

    private var others: String {
        strangers.isEmpty ? "" : "; \(strangers.count) that fit no entry of the catalogue are shown with --all"
    }
}
