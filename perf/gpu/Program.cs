using IlgpuLoader.Gpu;
using IlgpuLoader.Perf.Gpu;

// Started by run.sh, which knows where the data of the bundle is. README.md says what is measured and how.
if (args.Contains("--help"))
{
    Console.Out.WriteLine(BenchOptions.Usage);
    return 0;
}

BenchOptions options;
try
{
    options = BenchOptions.Parse(args);
}
catch (FormatException exception)
{
    Console.Error.WriteLine(exception.Message);
    Console.Error.WriteLine(BenchOptions.Usage);
    return 2;
}

var results = new Results();
try
{
    using var device = BenchDevice.Open(options);
    await new Bench(device, options, results, Console.Error).RunAsync();
}
catch (DeviceUnavailableException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 3;
}
catch (Exception exception)
{
    // What was found until then is worth as much as before.
    results.Failure = exception.ToString();
}

ResultsWriter.Write(options.OutputPath, results);
Console.Error.WriteLine(results.Passed ? $"All checks passed: {options.OutputPath}" : $"Something is not right: {options.OutputPath}");
return results.Passed ? 0 : 1;
