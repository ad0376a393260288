using System.Text;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Headers that are large on purpose: formats.md section 5, S15. Bounds are on memory, which does not depend on the machine.</summary>
public sealed class SafetensorsScaleTests
{
    private const int Million = 1_000_000;

    [Fact]
    public async Task Open_AMillionEmptyTensors_Opens()
    {
        var header = new StringBuilder("{");
        for (var i = 0; i < Million; i++)
        {
            header.Append(i == 0 ? "" : ",").Append('"').Append(i).Append("\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}");
        }

        var file = SafetensorsBuilder.File(header.Append('}').ToString());
        var before = GC.GetAllocatedBytesForCurrentThread();
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file, Opening.Name));
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal(Million, checkpoint.Tensors.Length);
        Assert.Equal(0, checkpoint.TensorBytes);
        Assert.Equal("999999", checkpoint["999999"].Name);
        // About 500 bytes a tensor; quadratic growth or a copy of the header for each would be far beyond.
        Assert.InRange(allocated, 0, 1_500L * Million);
    }

    [Theory]
    [InlineData("{\"a\":")]
    [InlineData("{\"a\":{\"x\":")]
    [InlineData("")]
    [InlineData("{\"__metadata__\":{\"a\":")]
    public async Task Open_HeaderOfTheWholeLimitFullOfBrackets_IsRefusedByItsDepth(string start)
    {
        var header = new byte[100_000_000];
        header.AsSpan().Fill((byte)'[');
        Encoding.UTF8.GetBytes(start, header);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => Checkpoint.OpenAsync(new MemorySource(SafetensorsBuilder.File(header), Opening.Name)));
        Assert.InRange(exception.Message.Length, 1, 1000);
        // Refused at the first levels, not at the end of the header.
        Assert.InRange(exception.Offset!.Value, 8, 8 + 256);
    }

    [Theory]
    [InlineData(125, true)]
    [InlineData(126, false)]
    public async Task Open_NestingInAnUnknownField_IsAllowedAsDeepAsTheReferenceAllows(int levels, bool accepted)
    {
        // The header's object and the entry's are two levels more; serde_json refuses the 128th.
        var value = new string('[', levels) + new string(']', levels);
        var file = SafetensorsBuilder.File($"{{\"a\":{{\"x\":{value},\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}}}", [1]);
        if (accepted)
        {
            await using var checkpoint = await Opening.AcceptedAsync(file);
            Assert.Single(checkpoint.Tensors);
        }
        else
        {
            await Opening.InvalidAsync(file, CheckpointErrorCode.HeaderNotJson, "a");
        }
    }

    [Fact]
    public async Task Open_NameOfAMegabyte_IsCutInTheMessage()
    {
        var name = new string('n', 1 << 20);
        var file = SafetensorsBuilder.File($"{{{SafetensorsBuilder.Entry(name, "U8", [1], 0, 2)}}}", new byte[2]);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => Checkpoint.OpenAsync(new MemorySource(file, Opening.Name)));
        Assert.Equal(CheckpointErrorCode.SizeMismatch, exception.Code);
        Assert.Equal(name, exception.Tensor);
        Assert.InRange(exception.Message.Length, 200, 600);
    }

    [Fact]
    public async Task Open_ShapeOfAMillionDimensions_IsBeyondTheLimit()
    {
        var file = SafetensorsBuilder.File($"{{{SafetensorsBuilder.Entry("a", "U8", Enumerable.Repeat(1ul, Million), 0, 2)}}}", new byte[2]);
        var exception = await Assert.ThrowsAsync<CheckpointLimitException>(
            () => Checkpoint.OpenAsync(new MemorySource(file, Opening.Name)));
        Assert.Equal(SafetensorsLimits.DefaultMaximumRank, exception.Maximum);
        Assert.Contains(nameof(SafetensorsLimits.MaximumRank), exception.Message, StringComparison.Ordinal);

        var trusting = new CheckpointOptions { Safetensors = new SafetensorsLimits { MaximumRank = Million } };
        var invalid = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => Checkpoint.OpenAsync(new MemorySource(file, Opening.Name), trusting));
        Assert.Equal(CheckpointErrorCode.SizeMismatch, invalid.Code);
        Assert.InRange(invalid.Message.Length, 1, 600);
        Assert.Contains("1000000 dimensions", invalid.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(SafetensorsLimits.DefaultMaximumRank, true)]
    [InlineData(SafetensorsLimits.DefaultMaximumRank + 1, false)]
    public async Task Open_AsManyDimensionsAsTheLimit_AreAllowed(int rank, bool accepted)
    {
        var file = SafetensorsBuilder.File($"{{{SafetensorsBuilder.Entry("a", "U8", Enumerable.Repeat(1ul, rank), 0, 1)}}}", new byte[1]);
        var opening = Checkpoint.OpenAsync(new MemorySource(file, Opening.Name));
        if (accepted)
        {
            await using var checkpoint = await opening;
            Assert.Equal(rank, checkpoint["a"].Shape.Rank);
        }
        else
        {
            await Assert.ThrowsAsync<CheckpointLimitException>(() => opening);
        }
    }

    [Fact]
    public async Task Open_NumberOfAMillionDigits_IsCutInTheMessage()
    {
        var file = SafetensorsBuilder.File($"{{\"a\":{{\"dtype\":\"U8\",\"shape\":[{new string('9', Million)}],\"data_offsets\":[0,0]}}}}");
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => Checkpoint.OpenAsync(new MemorySource(file, Opening.Name)));
        Assert.Equal(CheckpointErrorCode.HeaderFieldInvalid, exception.Code);
        Assert.InRange(exception.Message.Length, 1, 600);
    }
}
