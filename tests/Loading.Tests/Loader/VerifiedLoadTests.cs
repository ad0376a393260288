using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class VerifiedLoadTests
{
    private static readonly Sample Tensors = Sample.Make(
        5,
        ("first", DType.F32, [1000]),
        ("large", DType.F32, [1_700_000]),
        ("third", DType.U8, [5000]),
        ("empty", DType.BF16, [0]),
        ("last", DType.F16, [700_001]));

    [Fact]
    public void Any_checkpoint_that_is_what_its_manifest_says_loads_on_any_way() =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed => LoadAnyAsync(seed).GetAwaiter().GetResult()).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("first", 0, null)]
    [InlineData("first", 3999, DType.BF16)]
    [InlineData("large", 0, null)]
    [InlineData("large", 3_333_333, null)]
    [InlineData("large", 6_799_999, DType.F16)]
    [InlineData("third", 2500, null)]
    [InlineData("last", 1_400_001, DType.F32)]
    public async Task One_byte_that_differs_fails_the_load_and_names_the_tensor(string name, int at, DType? dtype)
    {
        var manifest = await ManifestAsync(Tensors);
        var bytes = Tensors.File.ToArray();
        await using (var checkpoint = await Tensors.OpenAsync())
        {
            bytes[checkpoint[name].Offset + at] ^= 1;
        }

        var device = new HostDevice();
        await using var changed = await Sample.Of(bytes).OpenAsync();
        var plan = new CheckpointLoader().Plan(changed, new LoadOptions { Device = device, DType = dtype, Manifest = manifest });
        var error = await Assert.ThrowsAsync<ManifestMismatchException>(() => new CheckpointLoader().LoadAsync(plan));
        var mismatch = Assert.Single(error.Mismatches);
        Assert.Equal(name, mismatch.Tensor);
        Assert.Contains(manifest.Entries[name].Sha256, mismatch.Problem, StringComparison.Ordinal);
        Assert.Contains("sample.safetensors", error.Message, StringComparison.Ordinal);
        Assert.Equal((0, 0), (device.LiveAllocations, device.LiveBytes));
    }

    [Fact]
    public async Task Every_tensor_that_differs_is_named_in_the_order_of_the_checkpoint()
    {
        var manifest = await ManifestAsync(Tensors);
        var other = Sample.Make(6, Tensors.Tensors.Keys.Select(name => (name, manifest.Entries[name].DType, manifest.Entries[name].Shape.ToArray())));
        await using var checkpoint = await other.OpenAsync();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Manifest = manifest });
        var error = await Assert.ThrowsAsync<ManifestMismatchException>(() => new CheckpointLoader().LoadAsync(plan));
        Assert.Equal(checkpoint.Tensors.Select(tensor => tensor.Name).Where(name => name != "empty"), error.Mismatches.Select(mismatch => mismatch.Tensor));
    }

    [Fact]
    public async Task A_stream_hands_over_only_what_matches_and_then_fails()
    {
        var manifest = await ManifestAsync(Tensors);
        var bytes = Tensors.File.ToArray();
        await using (var checkpoint = await Tensors.OpenAsync())
        {
            bytes[checkpoint["large"].Offset] ^= 0x80;
        }

        var device = new HostDevice();
        await using var changed = await Sample.Of(bytes).OpenAsync();
        // A window smaller than the tensor that is never handed over.
        var plan = new CheckpointLoader().Plan(changed, new LoadOptions { Device = device, Manifest = manifest, StreamWindowBytes = 1 << 20, DType = DType.F32 });
        var arrived = new List<string>();
        var error = await Assert.ThrowsAsync<ManifestMismatchException>(async () =>
        {
            await foreach (var (name, tensor) in new CheckpointLoader().StreamAsync(plan))
            {
                tensor.Dispose();
                arrived.Add(name);
            }
        });
        Assert.Equal("large", Assert.Single(error.Mismatches).Tensor);
        Assert.Equal(Tensors.Tensors.Keys.Where(name => name != "large").Order(), arrived.Order());
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task A_stream_of_what_differs_stays_within_its_window()
    {
        var sample = Sample.Make(8, Enumerable.Range(0, 40).Select(i => ($"t{i:D2}", DType.U8, new long[] { 100_000 })));
        var entries = (await ManifestAsync(sample)).Entries.Select(pair => KeyValuePair.Create(pair.Key, pair.Value with { Sha256 = new string('0', 64) }));
        var device = new LateDevice { SlotBytes = 1 << 16 };
        await using var checkpoint = await sample.OpenAsync();
        var options = new LoadOptions { Device = device, Lanes = 1, StreamWindowBytes = 250_000, Manifest = new TensorManifest(entries) };
        var error = await Assert.ThrowsAsync<ManifestMismatchException>(async () =>
        {
            await foreach (var (_, tensor) in new CheckpointLoader().StreamAsync(new CheckpointLoader().Plan(checkpoint, options)))
            {
                tensor.Dispose();
            }
        });
        Assert.Equal(40, error.Mismatches.Length);
        Assert.InRange(device.PeakBytes, 100_000, 300_000);
        Assert.Equal(0, device.LiveAllocations);
        Assert.Empty(device.Violations);
    }

    [Fact]
    public async Task Names_dtypes_and_shapes_are_compared_before_anything_is_read()
    {
        var manifest = await ManifestAsync(Tensors);
        var entries = manifest.Entries.ToBuilder();
        entries.Remove("first");
        entries["third"] = entries["third"] with { DType = DType.I8 };
        entries["last"] = entries["last"] with { Shape = new Shape(1, 700_001) };
        entries["gone"] = entries["large"];
        ActingSource? source = null;
        await using var checkpoint = await Tensors.OpenAsync(inner => source = new ActingSource(inner));
        source!.Arm(int.MaxValue, () => { });
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Manifest = new TensorManifest(entries) });
        var error = await Assert.ThrowsAsync<ManifestMismatchException>(() => new CheckpointLoader().LoadAsync(plan));
        Assert.Equal(["first", "gone", "last", "third"], error.Mismatches.Select(mismatch => mismatch.Tensor).Order());
        Assert.Contains("U8 [5000], expected was I8 [5000]", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, source.Reads);
    }

    [Fact]
    public async Task What_is_not_chosen_need_not_match()
    {
        var manifest = await ManifestAsync(Tensors);
        var entries = manifest.Entries.ToBuilder();
        entries["first"] = entries["third"];
        entries["gone"] = entries["third"];
        await using var checkpoint = await Tensors.OpenAsync();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Manifest = new TensorManifest(entries), Exclude = ["first", "gone"] });
        await using var model = await new CheckpointLoader().LoadAsync(plan);
        Assert.Equal(4, model.Count);
    }

    [Fact]
    public async Task A_tie_is_held_against_its_own_entry()
    {
        var aliased = ("alias", "large", DType.F32, new long[] { 1_700_000 });
        await using var checkpoint = await TiedSample.OpenAsync(Tensors, null, aliased);
        var manifest = TensorHasher.ToManifest(await TensorHasher.HashStoredAsync(checkpoint));
        var loader = new CheckpointLoader();
        await using (var model = await loader.LoadAsync(loader.Plan(checkpoint, new LoadOptions { Manifest = manifest })))
        {
            Assert.Same(model["large"].Memory, model["alias"].Memory);
        }

        var wrong = manifest.Entries.SetItem("alias", manifest.Entries["alias"] with { Sha256 = new string('0', 64) });
        var plan = loader.Plan(checkpoint, new LoadOptions { Manifest = new TensorManifest(wrong) });
        var error = await Assert.ThrowsAsync<ManifestMismatchException>(() => loader.LoadAsync(plan));
        Assert.Equal("alias", Assert.Single(error.Mismatches).Tensor);
    }

    [Fact]
    public async Task Slices_and_the_meta_device_have_nothing_to_hold_against_it()
    {
        var manifest = await ManifestAsync(Tensors);
        await using var checkpoint = await Tensors.OpenAsync();
        var loader = new CheckpointLoader();
        Assert.Throws<ArgumentException>(() => loader.Plan(checkpoint, new LoadOptions { Manifest = manifest, Device = MetaDevice.Shared }));
        Assert.Throws<ArgumentException>(() => loader.Plan(checkpoint, new LoadOptions { Manifest = manifest, TensorParallel = new TensorParallel(2, 0) }));
    }

    [Fact]
    public async Task A_load_into_the_same_memory_is_verified_again()
    {
        var manifest = await ManifestAsync(Tensors);
        await using var checkpoint = await Tensors.OpenAsync();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Manifest = manifest });
        await using var model = await loader.LoadAsync(plan);
        var statistics = await loader.LoadIntoAsync(plan, model);
        Assert.True(statistics.Hashing > TimeSpan.Zero);
        Tensors.AssertLoaded(plan, model);
    }

    private static async Task<TensorManifest> ManifestAsync(Sample sample)
    {
        await using var checkpoint = await sample.OpenAsync();
        return TensorHasher.ToManifest(await TensorHasher.HashStoredAsync(checkpoint));
    }

    private static async Task LoadAnyAsync(int seed)
    {
        var random = new Random(seed);
        var sample = Sample.MakeRandom(seed, longest: random.Next(2) == 0 ? 600 : 60_000);
        var manifest = await ManifestAsync(sample);
        var isSynchronous = random.Next(2) == 0;
        var most = random.Next(1000, 100_000);
        await using var checkpoint = await sample.OpenAsync(inner => isSynchronous ? new SynchronousSource(inner) : new ShortReadSource(inner, most));
        Device device = random.Next(3) switch
        {
            0 => new HostDevice(),
            1 => new LateDevice { SlotBytes = random.Next(64, 100_000), Lateness = (Lateness)random.Next(2) },
            _ => new LateGroup { SlotBytes = random.Next(64, 100_000) }.Device,
        };
        var options = new LoadOptions
        {
            Device = device,
            Lanes = random.Next(1, 5),
            StagingBytes = 64L << random.Next(10, 13),
            DType = random.Next(2) == 0 ? DType.BF16 : null,
            Manifest = manifest,
        };
        var plan = new CheckpointLoader().Plan(checkpoint, options);
        await using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            sample.AssertLoaded(plan, model);
        }

        Assert.Equal(0, device.LiveAllocations);
        Assert.Empty((device as LateDevice)?.Violations ?? []);
    }
}
