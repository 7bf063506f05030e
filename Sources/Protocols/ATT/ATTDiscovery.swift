/// How all services, characteristics and their client configurations are found, one request after the other.
///
/// Source: Core Vol 3 Part G 4.4.1 (primary services), 4.6.1 (characteristics), 4.7.1 (descriptors). Descriptors are looked for
/// only where a characteristic notifies or indicates: the window of a cuff is short.
struct ATTDiscovery {
    private enum Stage {
        case services(from: UInt16)
        case characteristics(service: Int, from: UInt16)
        case descriptors(service: Int, characteristic: Int, range: HandleRange)
        case hash(handle: UInt16)
        case finished
    }

    enum Step {
        case ask(ATTPDU)
        case found(HandleMap)
        case failed(ATTFailure)
    }

    private var stage = Stage.services(from: 0x0001)
    private var map = HandleMap()
    /// The declaration handle of each characteristic: where the one before it ends.
    private var declarations: [[UInt16]] = []

    /// What to ask, or the map when all is known.
    var step: Step {
        switch stage {
        case .services(let first): .ask(.readByGroupTypeRequest(HandleRange(first, 0xFFFF), type: .primaryService))
        case .characteristics(let service, let first):
            .ask(.readByTypeRequest(HandleRange(first, map.services[service].range.last), type: .characteristicDeclaration))
        case .descriptors(_, _, let range): .ask(.findInformationRequest(range))
        case .hash(let handle): .ask(.readRequest(handle: handle))
        case .finished: .found(map)
        }
    }

    /// The answer to what ``step`` asked.
    mutating func take(_ answer: ATTPDU) -> Step {
        switch (stage, answer) {
        case (.services(let first), .readByGroupTypeResponse(let groups)): return takeServices(groups, from: first)
        case (.services, .errorResponse(_, _, .attributeNotFound)): startCharacteristics(of: 0)
        case (.characteristics(let service, let first), .readByTypeResponse(let list)):
            return takeCharacteristics(list, service: service, from: first)
        case (.characteristics(let service, _), .errorResponse(_, _, .attributeNotFound)): startCharacteristics(of: service + 1)
        case (.descriptors(let service, let characteristic, let range), .findInformationResponse(let list)):
            return takeDescriptors(list, service: service, characteristic: characteristic, range: range)
        case (.descriptors(let service, let characteristic, _), .errorResponse(_, _, .attributeNotFound)):
            startDescriptors(after: (service, characteristic))
        case (.hash, .readResponse(let value)):
            map.databaseHash = value.count == 16 ? value : nil
            stage = .finished
        case (.hash, .errorResponse): stage = .finished
        case (_, .errorResponse(_, let handle, let code)): return .failed(.refused(code, handle: handle))
        default: return .failed(.badResponse)
        }
        return step
    }

    private mutating func takeServices(_ groups: [ATTPDU.GroupValue], from first: UInt16) -> Step {
        var lowest = first
        for group in groups {
            // Handles that do not rise would be asked for again without end.
            guard group.range.isValid, group.range.first >= lowest, let type = BluetoothUUID(littleEndian: group.value) else {
                return .failed(.badResponse)
            }
            map.services.append(HandleMap.Service(type: type, range: group.range))
            guard group.range.last < 0xFFFF else {
                startCharacteristics(of: 0)
                return step
            }
            lowest = group.range.last + 1
        }
        stage = .services(from: lowest)
        return step
    }

    private mutating func takeCharacteristics(_ list: [ATTPDU.HandleValue], service: Int, from first: UInt16) -> Step {
        let range = map.services[service].range
        var lowest = first
        for declaration in list {
            // `properties | value handle | UUID`
            guard declaration.handle >= lowest, declaration.handle <= range.last, declaration.value.count >= 5,
                let type = BluetoothUUID(littleEndian: declaration.value[3...])
            else { return .failed(.badResponse) }
            map.services[service].characteristics.append(
                HandleMap.Characteristic(
                    type: type, properties: HandleMap.Properties(rawValue: declaration.value[0]),
                    value: UInt16(declaration.value[1]) | UInt16(declaration.value[2]) << 8))
            declarations[service].append(declaration.handle)
            guard declaration.handle < range.last else {
                startCharacteristics(of: service + 1)
                return step
            }
            lowest = declaration.handle + 1
        }
        stage = .characteristics(service: service, from: lowest)
        return step
    }

    private mutating func takeDescriptors(
        _ list: [ATTPDU.Information], service: Int, characteristic: Int, range: HandleRange
    ) -> Step {
        if let found = list.first(where: { $0.type == .clientCharacteristicConfiguration }) {
            map.services[service].characteristics[characteristic].configuration = found.handle
            startDescriptors(after: (service, characteristic))
            return step
        }
        guard let last = list.map(\.handle).max(), last >= range.first else { return .failed(.badResponse) }
        if last < range.last {
            stage = .descriptors(service: service, characteristic: characteristic, range: HandleRange(last + 1, range.last))
        } else {
            startDescriptors(after: (service, characteristic))
        }
        return step
    }

    private mutating func startCharacteristics(of service: Int) {
        guard service < map.services.count else { return startDescriptors(after: nil) }
        declarations.append([])
        let range = map.services[service].range
        // A service that is only its declaration has no characteristic.
        if range.first < range.last {
            stage = .characteristics(service: service, from: range.first + 1)
        } else {
            startCharacteristics(of: service + 1)
        }
    }

    /// Goes on to the next characteristic that notifies or indicates and has room for a descriptor.
    private mutating func startDescriptors(after done: (service: Int, characteristic: Int)?) {
        var service = done?.service ?? 0
        var index = done.map { $0.characteristic + 1 } ?? 0
        while service < map.services.count {
            let list = map.services[service].characteristics
            while index < list.count {
                let last = index + 1 < list.count ? declarations[service][index + 1] - 1 : map.services[service].range.last
                if !list[index].properties.isDisjoint(with: [.notify, .indicate]), list[index].value < last {
                    stage = .descriptors(service: service, characteristic: index, range: HandleRange(list[index].value + 1, last))
                    return
                }
                index += 1
            }
            service += 1
            index = 0
        }
        stage = map.characteristic(.databaseHash).map { .hash(handle: $0.value) } ?? .finished
    }
}
