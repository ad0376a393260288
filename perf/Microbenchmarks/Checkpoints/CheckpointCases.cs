using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Microbenchmarks;

/// <summary>
/// What is done to checkpoints, one operation each: header parsing, unpickling, planning, loading of small tensors, and conversions.
/// Headers are read from memory, and one lane loads, so that what is allocated is the same each time.
/// </summary>
internal sealed class CheckpointCases : IAsyncDisposable
{
    private const int Many = 10_000;
    private const int Few = 1_000;
    private const int ConvertedElements = 1 << 18;

    private readonly CheckpointLoader _loader = new();
    private readonly HostDevice _device = new();
    private readonly byte[] _safetensors;
    private readonly byte[] _torch;
    private readonly byte[] _vocabulary;
    private readonly Checkpoint _many;
    private readonly Checkpoint _few;
    private readonly LoadPlan _keep;
    private readonly LoadPlan _convert;
    private readonly byte[] _stored = new byte[DType.Q4_K.ByteCount(ConvertedElements)];
    private readonly byte[] _halves = new byte[DType.F16.ByteCount(ConvertedElements)];
    private readonly byte[] _converted = new byte[DType.F32.ByteCount(ConvertedElements)];

    private CheckpointCases(byte[] safetensors, byte[] torch, byte[] vocabulary, Checkpoint many, Checkpoint few)
    {
        (_safetensors, _torch, _vocabulary, _many, _few) = (safetensors, torch, vocabulary, many, few);
        _keep = _loader.Plan(few, new LoadOptions { Device = _device, Lanes = 1 });
        _convert = _loader.Plan(few, new LoadOptions { Device = _device, Lanes = 1, DType = DType.F32 });
    }

    /// <summary>The operations by their names.</summary>
    public IReadOnlyList<(string Name, Func<Task> Operation)> Operations =>
    [
        ("open safetensors, 10,000 tensors", OpenSafetensorsAsync),
        ("open PyTorch, 10,000 tensors", OpenTorchAsync),
        ("open GGUF, 150,000 tokens", OpenVocabularyAsync),
        ("plan, 10,000 tensors", () => Synchronous(Plan)),
        ("load keep, 1,000 tensors of 4 KiB", LoadKeepAsync),
        ("load f32, 1,000 tensors of 4 KiB", LoadF32Async),
        ("convert F16 to F32, 1 MiB", () => Synchronous(ConvertF16)),
        ("convert Q4_K to F32, 1 MiB", () => Synchronous(ConvertQ4K)),
    ];

    public static async Task<CheckpointCases> CreateAsync(CheckpointFolder folder)
    {
        var small = new Shape(8, 16);
        var many = await CheckpointFiles.SafetensorsAsync(folder, Many, DType.BF16, small);
        var torch = await CheckpointFiles.TorchAsync(folder, Many, DType.BF16, small);
        var vocabulary = await CheckpointFiles.VocabularyAsync(folder);
        var few = await CheckpointFiles.SafetensorsAsync(folder, Few, DType.BF16, new Shape(32, 64));
        return new CheckpointCases(
            await File.ReadAllBytesAsync(many),
            await File.ReadAllBytesAsync(torch),
            await File.ReadAllBytesAsync(vocabulary),
            await Checkpoint.OpenAsync(many),
            await Checkpoint.OpenAsync(few));
    }

    public Task OpenSafetensorsAsync() => OpenAsync(_safetensors, "many.safetensors");

    public Task OpenTorchAsync() => OpenAsync(_torch, "many.pt");

    public Task OpenVocabularyAsync() => OpenAsync(_vocabulary, "vocabulary.gguf");

    public LoadPlan Plan() => _loader.Plan(_many, new LoadOptions { Device = _device, Lanes = 1 });

    public Task LoadKeepAsync() => LoadAsync(_keep);

    public Task LoadF32Async() => LoadAsync(_convert);

    public void ConvertF16() => Codecs.Of(DType.F16).Decode(_halves, _converted, DType.F32);

    public void ConvertQ4K() => Codecs.Of(DType.Q4_K).Decode(_stored, _converted, DType.F32);

    public async ValueTask DisposeAsync()
    {
        await _many.DisposeAsync();
        await _few.DisposeAsync();
    }

    private static async Task OpenAsync(byte[] file, string name)
    {
        await using (await Checkpoint.OpenAsync(new MemorySource(file, name)))
        {
        }
    }

    private static Task Synchronous(Action operation)
    {
        operation();
        return Task.CompletedTask;
    }

    private static Task Synchronous(Func<LoadPlan> operation)
    {
        _ = operation();
        return Task.CompletedTask;
    }

    private async Task LoadAsync(LoadPlan plan)
    {
        await using (await _loader.LoadAsync(plan))
        {
        }
    }
}
