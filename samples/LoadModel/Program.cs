// Loads a checkpoint into the layout of its architecture, and lists the parameters:
//   dotnet run --project samples/LoadModel [FOLDER [RANKS [RANK]]]
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

var folder = args is [var given, ..] ? given : Path.Combine("samples", "tiny-llama");
var parallel = new TensorParallel(args is [_, var ranks, ..] ? int.Parse(ranks) : 1, args is [_, _, var rank, ..] ? int.Parse(rank) : 0);

await using var checkpoint = await Checkpoint.OpenAsync(folder);
var config = checkpoint.Config ?? throw new FileNotFoundException("There is no config.json beside the weights.");
var context = new ModelContext
{
    Config = config,
    Parallel = parallel,
    Quantization = QuantizationMethods.Read(config.Root),
};

// The model's parameters, without storage; what fills them, recorded before a byte is read; and the load.
using var model = ModelInitializer.Initialize(context);
var loader = new ModuleLoader();
var plan = loader.Plan(model, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { Device = HostDevice.Shared } });
await loader.LoadAsync(plan);
WeightProcessing.Run(model, context.DType, HostDevice.Shared);

foreach (var (name, parameter) in model.NamedParameters())
{
    Console.WriteLine($"{name} {parameter.DType.Name} {parameter.Shape}");
}
