using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Whatever views a loader makes of a weight and of its parameter: what is planned and loaded is what the same loader does with values that are there.</summary>
public sealed class RecordedViewsTests
{
    private static readonly DType[] Types = [DType.U8, DType.F16, DType.BF16, DType.F32, DType.F64, DType.I64];

    [Fact]
    public void A_planned_load_is_what_the_loader_does_with_values_that_are_there()
    {
        Prop.ForAll(Gen.Choose(int.MinValue, int.MaxValue).ToArbitrary(), seed =>
            CompareAsync(new Random(seed), seed).WaitAsync(TimeSpan.FromMinutes(2)).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(400));
    }

    private static async Task<bool> CompareAsync(Random random, int seed)
    {
        var stored = random.GetItems(Types, 1)[0];
        var target = stored != DType.I64 && random.Next(2) == 0 ? random.GetItems(Codecs.Targets.ToArray().Where(type => type is DType.F32 or DType.BF16 or DType.F16).ToArray(), 1)[0] : stored;
        long[] shape = [.. Enumerable.Range(0, random.Next(0, 5)).Select(_ => (long)random.Next(1, 9))];
        var sample = Sample.Make(seed, ("before", DType.U8, [random.Next(0, 70)]), ("t", stored, shape), ("u", stored, shape));
        var (steps, result) = Steps(random, shape);
        var (parameterShape, place) = Place(random, result);
        void Load(Parameter parameter, Weight weight, ShardId shard)
        {
            var view = steps.Aggregate(weight, (current, step) => step(current));
            var places = new List<Tensor> { parameter.Data };
            foreach (var step in place)
            {
                places.Add(step(places[^1]));
            }

            view.CopyTo(places[^1]);
            foreach (var used in places.Skip(1))
            {
                used.Dispose();
            }
        }

        var device = random.Next(2) == 0 ? new HostDevice() : (Device)new LateDevice();
        using (var expected = Tensor.Empty(target, new Shape(parameterShape)))
        {
            expected.Fill(new byte[target.BlockSize]);
            using var direct = new Parameter(expected.On(expected.Device), Load);
            using (var weight = new Weight("t", Tensor.FromValues<byte>(stored, new Shape(shape), sample.Tensors["t"])))
            {
                direct.Load(weight);
            }

            await using var checkpoint = await sample.OpenAsync(source => random.Next(3) == 0 ? new ShortReadSource(source) : source);
            using var module = new Module();
            module.Register("t", new Parameter(target, new Shape(parameterShape), Load));
            module.Register("u", new Parameter(target, new Shape(parameterShape), Load));
            var options = new ModuleLoadOptions
            {
                IsStrict = false,
                Load = new LoadOptions { Device = device, Lanes = random.Next(1, 4), StagingBytes = random.Next(4) == 0 ? 64 << 10 : 1 << 20, ExactSlices = random.Next(2) == 0 },
            };
            var plan = new ModuleLoader().Plan(module, checkpoint, options);
            Assert.Equal(new Shape(result).ElementCount, plan.Parameters[0].WrittenElements);
            await new ModuleLoader().LoadAsync(plan);
            Assert.Equal(expected.AsSpan<byte>().ToArray(), GgufSample.Read(module.Parameters["t"].Data));
            Assert.Equal(2, device.LiveAllocations);
        }

        Assert.Equal(0, device.LiveAllocations);
        return true;
    }

    // Views of the weight, and the shape that they end in.
    private static (List<Func<Weight, Weight>> Steps, long[] Result) Steps(Random random, long[] shape)
    {
        var steps = new List<Func<Weight, Weight>>();
        var current = shape.ToList();
        for (var i = random.Next(0, 5); i > 0 && current.Count > 0; i--)
        {
            var dimension = random.Next(current.Count);
            switch (random.Next(3))
            {
                case 0:
                    var length = random.Next(1, (int)current[dimension] + 1);
                    var start = random.Next(0, (int)current[dimension] - length + 1);
                    var counted = random.Next(2) == 0 ? dimension : dimension - current.Count;
                    steps.Add(weight => weight.Narrow(counted, start, length));
                    current[dimension] = length;
                    break;
                case 1:
                    var index = random.Next(0, (int)current[dimension]);
                    steps.Add(weight => weight.Select(dimension, index));
                    current.RemoveAt(dimension);
                    break;
                default:
                    var other = random.Next(current.Count);
                    steps.Add(weight => weight.Transpose(dimension, other));
                    (current[dimension], current[other]) = (current[other], current[dimension]);
                    break;
            }
        }

        return (steps, [.. current]);
    }

    // A parameter with room around the result, mostly, and the views that lead to the result's place.
    private static (long[] Shape, List<Func<Tensor, Tensor>> Steps) Place(Random random, long[] result)
    {
        var steps = new List<Func<Tensor, Tensor>>();
        var shape = result.ToArray();
        for (var i = 0; i < shape.Length; i++)
        {
            if (random.Next(2) == 0)
            {
                var (dimension, start, length) = (i, random.Next(0, 4), result[i]);
                shape[i] += start + random.Next(0, 3);
                steps.Add(tensor => tensor.Narrow(dimension, start, length));
            }
        }

        if (shape.Length > 1 && random.Next(3) == 0)
        {
            var (first, second) = (random.Next(shape.Length), random.Next(shape.Length));
            (shape[first], shape[second]) = (shape[second], shape[first]);
            steps.Insert(0, tensor => tensor.Transpose(first, second));
        }

        return (shape, steps);
    }
}
