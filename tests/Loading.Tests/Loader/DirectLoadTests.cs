using System.Buffers.Binary;
using System.Security.Cryptography;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Tests;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Loads past the page cache, on whatever file system temporary files are: values are the same where it refuses.</summary>
public sealed class DirectLoadTests : IDisposable
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(2);

    // On the host 'large' is read in place and the others through a slot.
    private static readonly Sample Tensors = Sample.Make(
        5, ("first", DType.F32, [1000]), ("large", DType.F32, [2_700_001]), ("third", DType.U8, [5001]), ("last", DType.F16, [100]));

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [LinuxFact]
    public void Any_checkpoint_comes_out_the_same_through_any_lanes_slots_and_devices()
    {
        var index = 0;
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var sample = Sample.MakeRandom(seed, longest: random.Next(2) == 0 ? 600 : 60_000);
            var path = _folder.Write($"{index++}.safetensors", sample.File);
            var options = new LoadOptions
            {
                Device = random.Next(2) == 0 ? new HostDevice() : new LateDevice { SlotBytes = random.Next(16, 3000), Lateness = (Lateness)random.Next(2) },
                ReadMode = ReadMode.Direct,
                Lanes = random.Next(3) == 0 ? null : random.Next(1, 5),
                StagingBytes = random.Next(64 << 10, 1 << 20),
                DType = random.Next(2) == 0 ? null : DType.F32,
                ConvertAllTypes = random.Next(2) == 0,
            };
            LoadAsync(path, sample, options).WaitAsync(Hang).GetAwaiter().GetResult();
            File.Delete(path);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(60));
    }

    [LinuxTheory]
    [InlineData(64L << 10, 1)]
    [InlineData(200_000, 3)]
    [InlineData(9L << 20, 2)]
    [InlineData(LoadOptions.DefaultStagingBytes, 8)]
    public async Task Large_tensors_come_through_slots_of_any_cap_and_take_no_more(long cap, int lanes)
    {
        var device = new HostDevice();
        var path = _folder.Write("model.safetensors", Tensors.File);
        await using var checkpoint = await Checkpoint.OpenAsync(path);
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, ReadMode = ReadMode.Direct, StagingBytes = cap, Lanes = lanes });
        var most = 0L;
        await using (var model = await loader.LoadAsync(plan, new Watching(() => most = Math.Max(most, device.LiveBytes))))
        {
            Tensors.AssertLoaded(plan, model);
            Assert.Equal(("direct", plan.BytesToRead), (model.Statistics.ReadMode, model.Statistics.DirectBytes));
            Assert.InRange(most, plan.DestinationBytes + plan.Staging.SlotBytes, plan.DestinationBytes + cap);
            Assert.InRange(plan.Staging.Bytes, 1, cap);
            Assert.Equal("direct", (await loader.LoadIntoAsync(plan, model)).ReadMode);
            Tensors.AssertLoaded(plan, model);
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [LinuxFact]
    public async Task Blocks_that_agree_with_their_place_go_there_without_a_slot()
    {
        // The header is filled up with blanks, as the format allows, so that the tensors begin where blocks do.
        var sample = Sample.Make(8, ("large", DType.U8, [(20 << 20) + 77]));
        var header = (int)BinaryPrimitives.ReadUInt64LittleEndian(sample.File);
        var blanks = 4096 - 8 - header;
        var bytes = new byte[sample.File.Length + blanks];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)(header + blanks));
        sample.File.AsSpan(8, header).CopyTo(bytes.AsSpan(8));
        bytes.AsSpan(8 + header, blanks).Fill((byte)' ');
        sample.File.AsSpan(8 + header).CopyTo(bytes.AsSpan(4096));
        var calls = new RefusingCalls();
        await using var checkpoint = await Checkpoint.OpenAsync(new LocalFileSource(_folder.Write("model.safetensors", bytes), null, calls));
        var loader = new CheckpointLoader();
        var options = new LoadOptions { Device = new HostDevice(), ReadMode = ReadMode.Direct, Lanes = 1, StagingBytes = 64 << 10 };
        var plan = loader.Plan(checkpoint, options);
        await using var model = await loader.LoadAsync(plan);
        sample.AssertLoaded(plan, model);
        Assert.Equal(16 << 20, calls.Longest);
        // Two runs; the end of the second is no whole block.
        Assert.Equal(3, calls.Reads);
    }

    [LinuxFact]
    public async Task Shards_and_slices_come_out_the_same_as_through_the_cache()
    {
        await LlamaSynthesizer.WriteAsync(_folder["model"], new LlamaOptions { Hidden = 512, Vocabulary = 4001, Shards = 3, DType = DType.BF16, Layers = 2 });
        await using var checkpoint = await Checkpoint.OpenAsync(_folder["model"]);
        foreach (var (ranks, dtype) in new[] { (1, default(DType?)), (2, null), (4, DType.F32) })
        {
            for (var rank = 0; rank < ranks; rank++)
            {
                var parallel = ranks == 1 ? null : new TensorParallel(ranks, rank);
                await AssertSameAsync(checkpoint, new LoadOptions { Device = new HostDevice(), TensorParallel = parallel, DType = dtype, StagingBytes = 3 << 20 });
            }
        }
    }

    [LinuxTheory]
    [InlineData("gguf", ".gguf")]
    [InlineData("torch", ".pt")]
    [InlineData("torch", ".bin")]
    [InlineData("torch", ".npz")]
    public async Task Golden_files_of_other_formats_come_out_the_same_as_through_the_cache(string set, string extension)
    {
        GoldenArchive.ExtractTo(set, _folder["golden"]);
        var loaded = 0;
        foreach (var path in Directory.EnumerateFiles(_folder["golden"], "*" + extension, SearchOption.AllDirectories))
        {
            Checkpoint checkpoint;
            try
            {
                checkpoint = await Checkpoint.OpenAsync(path);
            }
            catch (CheckpointException)
            {
                // Broken on purpose.
                continue;
            }

            await using (checkpoint)
            {
                await AssertSameAsync(checkpoint, new LoadOptions { Device = new HostDevice() });
                await AssertSameAsync(checkpoint, new LoadOptions { Device = new HostDevice(), DType = DType.F32 });
                loaded++;
            }
        }

        Assert.Equal(Directory.EnumerateFiles(_folder["golden"], "*" + extension, SearchOption.AllDirectories).Any(), loaded > 0);
    }

    [LinuxTheory]
    [InlineData(1, "buffered")]
    [InlineData(2, "mixed")]
    [InlineData(4, "mixed")]
    public async Task A_file_system_that_refuses_a_read_is_read_on_through_the_cache(int read, string mode)
    {
        var calls = new RefusingCalls { RefusesRead = read };
        await using var checkpoint = await OpenAsync(calls);
        var device = new HostDevice();
        var loader = new CheckpointLoader();
        // One slot, which takes three reads of the large tensor.
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, ReadMode = ReadMode.Direct, Lanes = 1, StagingBytes = 4 << 20 });
        await using (var model = await loader.LoadAsync(plan))
        {
            Tensors.AssertLoaded(plan, model);
            Assert.Equal(mode, model.Statistics.ReadMode);
            Assert.Equal(read, calls.Reads);
            Assert.Equal("buffered", (await loader.LoadIntoAsync(plan, model)).ReadMode);
            Tensors.AssertLoaded(plan, model);
        }

        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
    }

    [LinuxTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_that_is_cut_meanwhile_names_the_tensor_and_where_it_ends(bool onHost)
    {
        var path = _folder["model.safetensors"];
        var end = Tensors.File.Length - 6_000_000;
        var calls = new RefusingCalls();
        await using var checkpoint = await OpenAsync(calls);
        calls.OnRead = read =>
        {
            if (read == 2)
            {
                using var stream = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
                stream.SetLength(end);
            }
        };
        var error = await FailAsync<InvalidCheckpointException>(checkpoint, onHost);
        Assert.Equal((CheckpointErrorCode.FileTruncated, "large", path, (long)end), (error.Code, error.Tensor, error.File, error.Offset));
    }

    [LinuxTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_that_is_written_again_meanwhile_is_refused(bool onHost)
    {
        var path = _folder["model.safetensors"];
        var calls = new RefusingCalls();
        await using var checkpoint = await OpenAsync(calls);
        calls.OnRead = _ => File.SetLastWriteTimeUtc(path, new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));
        var error = await FailAsync<InvalidCheckpointException>(checkpoint, onHost);
        Assert.Equal((CheckpointErrorCode.FileChanged, path), (error.Code, error.File));
    }

    [LinuxTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_read_that_fails_names_tensor_file_and_offset(bool onHost)
    {
        var calls = new RefusingCalls();
        await using var checkpoint = await OpenAsync(calls);
        calls.OnRead = read => _ = read == 2 ? throw new IOException("the disk is gone") : read;
        var error = await FailAsync<IOException>(checkpoint, onHost);
        Assert.Contains("tensor 'large'", error.Message, StringComparison.Ordinal);
        Assert.Contains("model.safetensors", error.Message, StringComparison.Ordinal);
        Assert.Contains("the disk is gone", error.Message, StringComparison.Ordinal);
    }

    [LinuxTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Cancelling_ends_the_load_within_one_read(bool onHost)
    {
        using var cancellation = new CancellationTokenSource();
        var calls = new RefusingCalls();
        await using var checkpoint = await OpenAsync(calls);
        calls.OnRead = read => _ = read == 2 ? Cancel(cancellation) : read;
        await FailAsync<OperationCanceledException>(checkpoint, onHost, cancellation.Token);
        Assert.Equal(2, calls.Reads);

        static int Cancel(CancellationTokenSource source)
        {
            source.Cancel();
            return 0;
        }
    }

    [LinuxFact]
    public async Task Tensors_are_hashed_as_they_come()
    {
        var entries = Tensors.Tensors.ToDictionary(tensor => tensor.Key, tensor => Convert.ToHexStringLower(SHA256.HashData(tensor.Value)));
        await using var checkpoint = await OpenAsync(new RefusingCalls());
        var manifest = new TensorManifest(checkpoint.Tensors.ToDictionary(
            tensor => tensor.Name, tensor => new ManifestEntry(tensor.DType, tensor.Shape, entries[tensor.Name])));
        var loader = new CheckpointLoader();
        foreach (var (dtype, lanes) in new[] { (default(DType?), 1), (null, 4), (DType.BF16, 3) })
        {
            var device = new HostDevice();
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, ReadMode = ReadMode.Direct, DType = dtype, Lanes = lanes, Manifest = manifest });
            await using var model = await loader.LoadAsync(plan);
            Tensors.AssertLoaded(plan, model);
            Assert.Equal("direct", model.Statistics.ReadMode);
        }

        var bytes = Tensors.File.ToArray();
        bytes[checkpoint["large"].Offset + 5_000_000] ^= 1;
        await using var other = await Checkpoint.OpenAsync(_folder.Write("other.safetensors", bytes));
        var changed = loader.Plan(other, new LoadOptions { Device = new HostDevice(), ReadMode = ReadMode.Direct, Manifest = manifest });
        var error = await Assert.ThrowsAsync<ManifestMismatchException>(() => loader.LoadAsync(changed));
        Assert.Equal("large", Assert.Single(error.Mismatches).Tensor);
    }

    // It must be decoded from one slot, which has no room for the whole blocks of the file around it.
    [LinuxFact]
    public async Task A_part_of_a_row_that_fills_the_slot_is_read_as_it_is_through_the_cache()
    {
        var stored = new byte[DType.Q8_0.ByteCount(2 * 61_440)];
        for (var i = 0; i < stored.Length; i++)
        {
            // The scale of each block is 1 (3C00 in F16).
            stored[i] = (i % 34) switch { 0 => 0, 1 => 0x3C, _ => (byte)(i * 7) };
        }

        Assert.True(GgufTypes.TryGetId(DType.Q8_0, out var id));
        var path = _folder.Write("model.gguf", new GgufBuilder().Tensor("t", id, [61_440, 2], stored).ToBytes());
        await using var checkpoint = await Checkpoint.OpenAsync(new LocalFileSource(path, null, new RefusingCalls { Alignment = new DirectAlignment(4096, 4096) }));
        var device = new HostDevice();
        var options = new LoadOptions { Device = device, DType = DType.F32, ReadMode = ReadMode.Direct, StagingBytes = 64 << 10 };
        // 60,768 values from the 17th on lie in 1,900 blocks, 64,600 of the slot's 65,536 bytes.
        var plan = LoadPlanner.Plan(checkpoint, options, _ => true, _ => new TensorSlice(1, 16, 60_768));
        await using (var model = await new CheckpointLoader().LoadAsync(plan))
        {
            Assert.Equal(0, model.Statistics.DirectBytes);
            var values = model["t"].AsSpan<float>();
            for (var i = 0; i < values.Length; i++)
            {
                var at = (i / 60_768 * 61_440) + 16 + (i % 60_768);
                Assert.Equal((sbyte)stored[(at / 32 * 34) + 2 + (at % 32)], values[i]);
            }
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    private Task<Checkpoint> OpenAsync(RefusingCalls calls) =>
        Checkpoint.OpenAsync(new LocalFileSource(_folder.Write("model.safetensors", Tensors.File), null, calls));

    private static async Task LoadAsync(string path, Sample sample, LoadOptions options)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(path);
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, options);
        await using (var model = await loader.LoadAsync(plan))
        {
            sample.AssertLoaded(plan, model);
            Assert.Equal(plan.BytesToRead, model.Statistics.DirectBytes);
        }

        await foreach (var (name, tensor) in loader.StreamAsync(plan))
        {
            using (tensor)
            {
                sample.AssertLoaded(plan.Tensors.Single(planned => planned.Name == name), tensor);
            }
        }

        Assert.Equal((0, 0L), (options.Device.LiveAllocations, options.Device.LiveBytes));
        if (options.Device is LateDevice late)
        {
            Assert.Empty(late.Violations);
            Assert.Equal(0, late.Rented);
        }
    }

    private static async Task AssertSameAsync(Checkpoint checkpoint, LoadOptions options)
    {
        var loader = new CheckpointLoader();
        var direct = loader.Plan(checkpoint, options with { ReadMode = ReadMode.Direct });
        var buffered = loader.Plan(checkpoint, options with { ReadMode = ReadMode.Buffered });
        // What is read beyond that depends on how many segments a slot takes.
        Assert.Equal(buffered.BytesNeeded, direct.BytesNeeded);
        await using (var model = await loader.LoadAsync(direct))
        await using (var expected = await loader.LoadAsync(buffered))
        {
            Assert.Equal(expected.Names, model.Names);
            Assert.Equal(0, expected.Statistics.DirectBytes);
            foreach (var name in expected.Names)
            {
                Assert.Equal(expected[name].Shape, model[name].Shape);
                Assert.True(Bytes(expected[name]).AsSpan().SequenceEqual(Bytes(model[name])), name);
            }
        }

        Assert.Equal(0, options.Device.LiveAllocations);
    }

    private static byte[] Bytes(Tensor tensor) => tensor.IsContiguous ? tensor.AsSpan<byte>().ToArray() : TensorBytes.Read(tensor);

    private static async Task<TException> FailAsync<TException>(Checkpoint checkpoint, bool onHost, CancellationToken cancellationToken = default)
        where TException : Exception
    {
        Device device = onHost ? new HostDevice() : new LateDevice();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, ReadMode = ReadMode.Direct, Lanes = 1, StagingBytes = 2 << 20 });
        var error = await Assert.ThrowsAnyAsync<TException>(() => loader.LoadAsync(plan, null, cancellationToken).WaitAsync(Hang));
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        return error;
    }

    private sealed class Watching(Action look) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => look();
    }
}
