import Gateway

@main
struct Main {
    static func main() async {
        await Vitalgate.main()
    }
}
